//! Finding and reading the files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the workspace.
pub(crate) fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// A file of the repository.
pub(crate) struct File {
    /// Relative to the root, with `/` between.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Reads every file below `root` whose name ends in one of `extensions`, sorted by path.
pub(crate) fn read_all(root: &Path, extensions: &[&str]) -> Result<Vec<File>, String> {
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ext| extensions.iter().any(|e| ext == *e)))
        .map(|path| {
            let text = read(&path)?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            Ok(File { path: relative.to_string_lossy().replace('\\', "/"), text })
        })
        .collect()
}

/// Reads a file, naming it if that fails.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries =
        fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", directory.display()))?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(|error| error.to_string())?;
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            walk(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}

/// Directories that hold nothing of ours.
const SKIPPED: [&str; 9] = [
    ".git",
    "target",
    ".cache",
    "node_modules",
    "corpus",
    "artifacts",
    "data",
    "mutants.out",
    "venv",
];
