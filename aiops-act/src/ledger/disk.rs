use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// What a ledger changes on a disk. [`MachineDisk`] does it; tests put another one in its place, which runs full or fails as disks do.
///
/// Reads and locks go to the file itself.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Writes some of `bytes` at the end of `file`, and returns how many.
    ///
    /// # Errors
    /// Those of the machine. Some of `bytes` may have been written.
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written to `file` durable.
    ///
    /// # Errors
    /// Those of the machine. Nobody knows then what is durable, and a later call that succeeds does not tell either.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Cuts `file` to `length` bytes.
    ///
    /// # Errors
    /// Those of the machine.
    fn cut(&self, file: &File, length: u64) -> io::Result<()>;

    /// Makes the names in `folder` durable.
    ///
    /// # Errors
    /// Those of the machine.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The disk of this machine: `write`, `fdatasync`, `ftruncate`, and `fsync` of a folder.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineDisk;

impl Disk for MachineDisk {
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder).and_then(|folder| folder.sync_all())
    }
}

/// Writes all of `bytes` at the end of `file`.
pub(super) fn write_all(disk: &dyn Disk, file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
