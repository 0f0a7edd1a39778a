//! The directory of what survives a restart: locked for one gateway, with its MQTT client id.
//!
//! The overrides in it are read by [`crate::config`]; SO_REUSEPORT would let a second gateway take
//! half of the traffic in silence, which is why the lock comes before any socket.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The directory, locked as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held, not read: the kernel ends the lock with the file.
    _lock: File,
}

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another gateway has it.
    #[error(
        "data_dir = {} is in use by another gateway ({holder}); give this one a data_dir of its own",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the other one wrote into the lock file.
        holder: String,
    },
    /// It cannot be made, read or written.
    #[error("data_dir: {}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

const LOCK_FILE: &str = "lock";
const CLIENT_ID_FILE: &str = "mqtt-client-id";

impl DataDir {
    /// Makes the directory if it is missing, and locks it. `addresses` is what another gateway
    /// will be told about this one, such as its listeners.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn lock(path: &Path, addresses: &str) -> Result<Self, DataDirError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        let lock_path = path.join(LOCK_FILE);
        // Not truncated before the lock is held: the other one's words are in it.
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(io_error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse {
                    path: path.to_owned(),
                    holder: holder(&mut lock),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(&lock_path)(error)),
        }
        let words = format!("process {}, {addresses}\n", std::process::id());
        write_words(&mut lock, &words).map_err(io_error(&lock_path))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The MQTT client id: made once, then kept, so that the broker knows the session again.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn client_id(&self) -> Result<String, DataDirError> {
        let path = self.path.join(CLIENT_ID_FILE);
        match fs::read_to_string(&path) {
            Ok(text) if is_client_id(text.trim()) => return Ok(text.trim().to_owned()),
            // An empty or torn file is made anew.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(&path)(error)),
        }
        let client_id = new_client_id().map_err(io_error(Path::new(RANDOM_DEVICE)))?;
        let draft = path.with_extension("new");
        fs::write(&draft, format!("{client_id}\n"))
            .and_then(|()| File::open(&draft)?.sync_all())
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(io_error(&path))?;
        Ok(client_id)
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DataDirError + use<> {
    let path = path.to_owned();
    move |error| DataDirError::Io { path, error }
}

fn holder(lock: &mut File) -> String {
    let mut words = String::new();
    // The words are a courtesy; that the lock is held is what counts.
    let _ = lock.take(HOLDER_LEN_MAX).read_to_string(&mut words);
    match words.trim() {
        "" => "it did not say which".to_owned(),
        words => words.to_owned(),
    }
}

/// 1 KiB of words: a file that somebody else put there is not quoted whole.
const HOLDER_LEN_MAX: u64 = 1024;

fn write_words(lock: &mut File, words: &str) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(words.as_bytes())
}

/// MQTT 3.1.1 3.1.3.1: a broker need not take more than 23 bytes, or other than digits and letters.
fn new_client_id() -> io::Result<String> {
    let mut random = [0; 7];
    File::open(RANDOM_DEVICE)?.read_exact(&mut random)?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("lwm2mgw{hex}"))
}

const RANDOM_DEVICE: &str = "/dev/urandom";

fn is_client_id(text: &str) -> bool {
    (1..=23).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of the test's own that is gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("lwm2m-gateway-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_second_gateway_is_told_who_has_the_directory() {
        let scratch = Scratch::new("lock");
        let first = DataDir::lock(&scratch.0, "listeners 0.0.0.0:5683").unwrap();
        let error = DataDir::lock(&scratch.0, "listeners 0.0.0.0:5684").unwrap_err().to_string();
        let process = format!("process {}, listeners 0.0.0.0:5683", std::process::id());
        assert!(error.contains(&process) && error.contains("data_dir = "), "{error}");
        drop(first);
        DataDir::lock(&scratch.0, "").unwrap();
    }

    #[test]
    fn the_client_id_is_made_once_and_kept() {
        let scratch = Scratch::new("client-id");
        let made = DataDir::lock(&scratch.0, "").unwrap().client_id().unwrap();
        assert!(is_client_id(&made) && made.starts_with("lwm2mgw"), "{made}");
        let dir = DataDir::lock(&scratch.0, "").unwrap();
        assert_eq!(dir.client_id().unwrap(), made);
        fs::write(dir.path().join(CLIENT_ID_FILE), "").unwrap();
        let anew = dir.client_id().unwrap();
        assert_ne!(anew, made);
        assert_eq!(dir.client_id().unwrap(), anew);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let scratch = Scratch::new("file");
        fs::write(&scratch.0, "").unwrap();
        let error = DataDir::lock(&scratch.0.join("below"), "").unwrap_err().to_string();
        fs::remove_file(&scratch.0).unwrap();
        assert!(error.starts_with("data_dir: ") && error.contains("below"), "{error}");
    }
}
