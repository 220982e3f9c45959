//! Where a report goes. In: a folder's path. Out: files that appear under their names only when they are whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Why a report, or a part of it, could not be written: which path, at which step, and what the user can do.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot {step}: {cause}{advice}", path = path.display())]
pub struct ReportError {
    /// The folder or file that it is about.
    pub path: PathBuf,
    /// What was tried: `create the folder`, `write`.
    pub step: &'static str,
    /// What stood in the way, as the system or the encoder says it.
    pub cause: String,
    /// `; ` and what to do, or nothing where no advice helps.
    pub advice: &'static str,
    /// The kind of an input/output error, `None` for an encoder's.
    pub kind: Option<io::ErrorKind>,
}

impl ReportError {
    fn io(path: &Path, step: &'static str, error: &io::Error) -> Self {
        use io::ErrorKind as K;
        let advice = match error.kind() {
            K::PermissionDenied | K::ReadOnlyFilesystem => "; choose a folder you may write to with -o",
            K::NotADirectory | K::AlreadyExists | K::IsADirectory => {
                "; something else has that name: choose another folder with -o"
            }
            K::StorageFull | K::QuotaExceeded => "; free some space or choose another disk with -o",
            _ => "",
        };
        Self { path: path.to_owned(), step, cause: plain(error), advice, kind: Some(error.kind()) }
    }
}

impl ReportError {
    /// What an encoder says of the file `name`.
    pub(super) fn encoding(name: &str, cause: String) -> Self {
        Self { path: name.into(), step: "encode", cause, advice: "", kind: None }
    }
}

/// `permission denied` for `Permission denied (os error 13)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Held while rows go to a file that may be read already.
static WRITING: Mutex<()> = Mutex::new(());

/// Keeps rows from being written as long as it is held, so that the program can end without leaving half of one; `None` where some
/// are being written just now.
pub fn between_rows() -> Option<MutexGuard<'static, ()>> {
    match WRITING.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A folder that reports are written to; it exists and can be written.
#[derive(Clone, Debug)]
pub struct OutputDir {
    path: PathBuf,
}

impl OutputDir {
    /// Creates the folder and those above it where they are missing, and proves that a file can be written there: to be
    /// called before the long work begins.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|error| ReportError::io(&path, "create the folder", &error))?;
        let dir = Self { path };
        drop(dir.create("trial").map_err(|error| ReportError {
            path: dir.path.clone(),
            step: "write into the folder",
            ..error
        })?);
        Ok(dir)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins the file `name`; it has another name until [`OutputFile::commit`].
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(&self, name: &str) -> Result<OutputFile, ReportError> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!(".{name}.{}.part", std::process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary);
        let file = file.map_err(|error| ReportError::io(&path, "create", &error))?;
        Ok(OutputFile {
            path,
            temporary,
            writer: Some(BufWriter::with_capacity(1 << 16, file)),
            committed: false,
            whole: 0,
            trouble: None,
        })
    }
}

/// A file on its way. Dropped without [`commit`](Self::commit), it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
    committed: bool,
    /// Bytes up to the end of the last row that was written out.
    whole: u64,
    /// The first error that the file gave: an encoder in between may pass on only its words.
    trouble: Option<io::Error>,
}

impl OutputFile {
    /// Its final path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name already now, in place of an older one: its rows are to be read while more of them come.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn appear(&mut self) -> Result<(), ReportError> {
        if !self.committed {
            fs::rename(&self.temporary, &self.path).map_err(|error| ReportError::io(&self.path, "replace", &error))?;
            self.committed = true;
        }
        Ok(())
    }

    /// Appends whole rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn rows(&mut self, rows: &[u8]) -> Result<(), ReportError> {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write_all(rows);
        self.whole_rows(written, rows.len() as u64)
    }

    /// Hands everything to the system, so that whoever reads the file finds it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hand_over(&mut self) -> Result<(), ReportError> {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = self.flush();
        self.whole_rows(flushed, 0)
    }

    fn whole_rows(&mut self, written: io::Result<()>, more: u64) -> Result<(), ReportError> {
        match written {
            Ok(()) => {
                self.whole += more;
                Ok(())
            }
            Err(error) => {
                // A row that is there in part misleads whoever reads it. What was handed to the buffer may be missing, too.
                if let Some(writer) = self.writer.take().filter(|_| self.committed) {
                    let (file, _) = writer.into_parts();
                    let _ = file.metadata().and_then(|found| file.set_len(found.len().min(self.whole)));
                }
                Err(ReportError::io(&self.path, "write", &error))
            }
        }
    }

    /// Writes out what is buffered and lets go of the handle, so that many files can wait for their commit together.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn close(&mut self) -> Result<(), ReportError> {
        match self.writer.take() {
            Some(mut writer) => writer.flush().map_err(|error| ReportError::io(&self.path, "write", &error)),
            None => Ok(()),
        }
    }

    /// Gives the file its name, in place of an older one.
    ///
    /// # Errors
    /// When the rest cannot be written or the file cannot be renamed.
    pub fn commit(mut self) -> Result<PathBuf, ReportError> {
        self.close()?;
        self.appear()?;
        Ok(self.path.clone())
    }

    /// Why writing this file failed, given what its encoder said.
    pub(super) fn failed(&self, cause: String) -> ReportError {
        match &self.trouble {
            Some(error) => ReportError::io(&self.path, "write", error),
            None => ReportError { path: self.path.clone(), step: "encode", cause, advice: "", kind: None },
        }
    }

    fn remember<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && self.trouble.is_none()
        {
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.trouble = Some(copy);
        }
        result
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(bytes);
        self.remember(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.writer.as_mut().map_or(Ok(()), Write::flush);
        self.remember(result)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be told about a failure here, and there is nothing better to do about it.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let out = OutputDir::open(dir.path().join("a/b")).unwrap();
        assert_eq!(names(out.path()), Vec::<String>::new());
        let mut file = out.create("x.csv").unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!file.path().exists());
        let path = file.commit().unwrap();
        assert_eq!(fs::read(path).unwrap(), b"whole");
        assert_eq!(names(out.path()), ["x.csv"]);
    }

    #[test]
    fn an_error_before_the_commit_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let out = OutputDir::open(dir.path()).unwrap();
        fs::write(dir.path().join("x.csv"), "old").unwrap();
        let mut file = out.create("x.csv").unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(names(dir.path()), ["x.csv"]);
        assert_eq!(fs::read(dir.path().join("x.csv")).unwrap(), b"old");
    }

    #[test]
    fn a_file_in_the_way_is_told_with_the_path_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = OutputDir::open(&file).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: cannot create the folder: ", file.display())), "{error}");
        assert!(error.ends_with("choose another folder with -o"), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_whatever_the_encoder_makes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = OutputDir::open(dir.path()).unwrap().create("x.parquet").unwrap();
        file.writer = Some(BufWriter::with_capacity(1, OpenOptions::new().write(true).open("/dev/full").unwrap()));
        assert!(file.write_all(b"more than its buffer").is_err());
        let error = file.failed("something about a specification".into());
        assert_eq!(error.kind, Some(io::ErrorKind::StorageFull));
        let text = "x.parquet: cannot write: no space left on device; free some space or choose another disk with -o";
        assert!(error.to_string().ends_with(text), "{error}");
    }

    #[test]
    fn a_folder_that_takes_no_files_is_told_at_once() {
        let error = OutputDir::open("/proc/self/task").unwrap_err();
        assert_eq!(error.step, "write into the folder");
        assert!(!error.to_string().contains("os error"), "{error}");
    }
}
