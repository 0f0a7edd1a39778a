//! Object definitions from the built-in set and from a directory of XML files.
//!
//! What a definition means is the job of `lwm2m::model`; this module reads the files and says what
//! became of each.

use std::io;
use std::path::Path;
use std::sync::Arc;

use lwm2m::Models;
use lwm2m::model::{FileOutcome, ModelsBuilder};

use crate::config::Config;

/// The largest file that is read. The largest definition of the registry has 68 kB.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Reads the definitions that the configuration asks for. Files that cannot be used are logged and
/// passed over: a typo in one definition must not keep a fleet from being served.
pub fn load(config: &Config) -> Arc<Models> {
    let base = if config.lwm2m.builtin_objects { Models::builtin() } else { Models::empty() };
    let directory = &config.lwm2m.xml_dir;
    let files = match xml_files(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::debug!(event = "xml_dir_missing", directory = %directory.display());
            return Arc::new(base);
        }
        Err(error) => {
            tracing::warn!(event = "xml_dir_unreadable", directory = %directory.display(), %error);
            return Arc::new(base);
        }
    };
    let mut builder = ModelsBuilder::new(base);
    for path in files {
        let name = path.display().to_string();
        match read(&path) {
            Ok(bytes) => log(&name, builder.add_file(&name, &bytes)),
            Err(error) => tracing::warn!(event = "object_refused", file = name, %error),
        }
    }
    Arc::new(builder.finish())
}

/// The XML files of a directory, sorted by name: of two that conflict the first one counts.
fn xml_files(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_xml = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xml"));
        if is_xml {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let len = std::fs::metadata(path)?.len();
    if len > FILE_LEN_MAX {
        let text = format!("{len} bytes; at most {FILE_LEN_MAX} are read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    std::fs::read(path)
}

fn log(file: &str, outcome: FileOutcome) {
    match outcome {
        FileOutcome::Loaded { id, version, name } => {
            tracing::info!(event = "object_loaded", file, id, %version, name = &*name);
        }
        FileOutcome::Same { id, version } => {
            tracing::debug!(event = "object_known", file, id, %version);
        }
        FileOutcome::NotADefinition => tracing::debug!(event = "object_passed_over", file),
        FileOutcome::Refused(error) => tracing::warn!(event = "object_refused", %error),
    }
}
