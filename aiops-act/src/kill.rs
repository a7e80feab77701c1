//! A kill switch that is a file (ACT-04).

use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use aiops_core::guard::KillSignal;
use aiops_core::{Error, ErrorKind, Result};

/// Stops everything while a file is there: `touch stop-aiops`, from a shell, a configuration management or a volume that is mounted.
///
/// What is in the file does not matter. It is looked for at every check of the switch, so before every action. Whatever is not surely
/// absent counts as there: a file that may not be looked at, a dangling link, a folder that is gone.
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
            (Some(_), Some(folder)) => Ok(Self { folder: folder.to_owned(), path }),
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
}

impl KillSignal for KillFile {
    fn reason(&self) -> Option<String> {
        let path = self.path.display();
        match std::fs::symlink_metadata(&self.path) {
            Ok(_) => Some(format!("the file {path} is there")),
            // A volume that is not mounted any more has no such file either.
            Err(e) if e.kind() == Io::NotFound && self.folder.is_dir() => None,
            Err(e) => Some(format!("whether the file {path} is there cannot be told: {e}")),
        }
    }
}
