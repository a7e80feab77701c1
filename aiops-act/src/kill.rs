//! A kill switch that is a file (ACT-04).

use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use aiops_core::action::Principal;
use aiops_core::guard::KillSignal;
use aiops_core::{Error, ErrorKind, Result};

/// Stops everything while a file is there: `touch stop-aiops`, from a shell, a configuration management or a volume that is mounted.
///
/// What is in the file does not matter. It is looked for at every check of the switch, so before every action. Whatever is not surely
/// absent counts as there: a file that may not be looked at, a dangling link, a folder that is gone, or that is another one than when the switch was
/// made (on Unix, by device and inode): the mount point of a volume that is not mounted has no such file either. So mount first, and make
/// the switch then.
///
/// To look takes two calls of the system that block the task that asks. Keep the file on a file system that answers at once: one that hangs
/// holds up whatever asks, and nothing is begun meanwhile.
///
/// ```
/// use aiops_act::kill::KillFile;
/// use aiops_core::guard::KillSwitch;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("stop");
/// let switch = KillSwitch::new();
/// switch.watch(KillFile::new(&path)?);
/// assert!(!switch.is_engaged());
/// std::fs::write(&path, "")?;
/// assert!(switch.is_engaged());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct KillFile {
    path: PathBuf,
    folder: PathBuf,
    /// Which folder it was at first; `None` where there was none.
    place: Option<Place>,
}

/// Tells a folder from another one at the same path. Where the system has no such thing all folders are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u64, u64);

impl Place {
    fn of(folder: &Path) -> Option<Self> {
        let found = std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Some(Self(found.dev(), found.ino()))
        }
        #[cfg(not(unix))]
        {
            drop(found);
            Some(Self(0, 0))
        }
    }
}

impl KillFile {
    /// The switch that is on while `path` is there. A relative path is taken from the present folder, once.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a path that names no file; [`ErrorKind::Unavailable`] when the present folder is not known.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        let given = path.as_ref();
        let path = std::path::absolute(given).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "the path cannot be made absolute")
                .with("path", given.display())
                .caused_by(e)
        })?;
        match (path.file_name(), path.parent()) {
            (Some(_), Some(folder)) => Ok(Self { place: Place::of(folder), folder: folder.to_owned(), path }),
            _ => {
                Err(Error::new(ErrorKind::Invalid, "a path of a file is needed")
                    .with("path", given.display()))
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file, or leaves the one that is there: stops whatever watches it, in every process, until somebody removes it. It is on disk
    /// when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it cannot be made.
    pub fn engage(&self, by: &Principal, reason: &str) -> Result<()> {
        use std::io::Write as _;
        tracing::warn!(by = %by, reason, file = %self.path.display(), "kill file made");
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&self.path);
        let written = match made {
            // Empty or not, it is there: what is written in it is for whoever finds it.
            Ok(mut file) => writeln!(file, "{by}: {reason}").and_then(|()| file.sync_all()),
            Err(e) if e.kind() == Io::AlreadyExists => Ok(()),
            Err(e) => Err(e),
        };
        #[cfg(unix)]
        let written = written.and_then(|()| std::fs::File::open(&self.folder)?.sync_all());
        written.map_err(|e| {
            Error::new(ErrorKind::Unavailable, "the kill file cannot be made")
                .with("path", self.path.display())
                .caused_by(e)
        })
    }
}

impl KillSignal for KillFile {
    fn reason(&self) -> Option<String> {
        let path = self.path.display();
        match std::fs::symlink_metadata(&self.path) {
            Ok(_) => Some(format!("the file {path} is there")),
            Err(e) if e.kind() == Io::NotFound => match (self.place, Place::of(&self.folder)) {
                (Some(first), Some(now)) if first == now => None,
                _ => Some(format!(
                    "whether the file {path} is there cannot be told: its folder is gone or another one"
                )),
            },
            Err(e) => Some(format!("whether the file {path} is there cannot be told: {e}")),
        }
    }
}
