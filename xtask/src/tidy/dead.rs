//! Dead files: Rust sources that no module tree reaches, which no compiler ever looks at.

use std::collections::{BTreeSet, HashMap};

use toml::{Table, Value};

use super::{Finding, rust};
use crate::files::File;
use crate::source::{Code, ModDeclaration};

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let by_path: HashMap<&str, &File> = rust(files).map(|f| (f.path.as_str(), f)).collect();
    let mut reached = BTreeSet::new();
    for manifest in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        for root in roots(manifest, &by_path) {
            reach(&root, Place::Root, &by_path, &mut reached);
        }
    }
    let dead = by_path.keys().filter(|path| !reached.contains(**path)).collect::<BTreeSet<_>>();
    dead.into_iter().map(|path| Finding::new(path, 1, "no module declares this file")).collect()
}

/// The files at which cargo begins: by convention, and by `path` in the manifest.
fn roots(manifest: &File, files: &HashMap<&str, &File>) -> Vec<String> {
    let directory = manifest.path.strip_suffix("Cargo.toml").unwrap_or_default();
    let conventional = |path: &str| {
        let Some(path) = path.strip_prefix(directory) else { return false };
        let parts: Vec<_> = path.split('/').collect();
        matches!(
            parts[..],
            ["build.rs"]
                | ["src", "lib.rs" | "main.rs"]
                | ["src", "bin", _]
                | ["src", "bin", _, "main.rs"]
                | ["tests" | "benches" | "examples", _]
                | ["tests" | "benches" | "examples", _, "main.rs"]
        )
    };
    let table: Table = manifest.text.parse().unwrap_or_default();
    let named = ["lib", "bin", "test", "bench", "example"].into_iter().flat_map(|section| {
        match table.get(section) {
            Some(Value::Array(targets)) => targets.clone(),
            Some(target) => vec![target.clone()],
            None => Vec::new(),
        }
    });
    let named =
        named.filter_map(|target| Some(format!("{directory}{}", target.get("path")?.as_str()?)));
    files
        .keys()
        .filter(|path| conventional(path))
        .map(|path| (*path).to_owned())
        .chain(named)
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its modules lie beside it.
    Root,
    /// Its modules lie in a directory of its name.
    Module,
}

fn reach(path: &str, place: Place, files: &HashMap<&str, &File>, reached: &mut BTreeSet<String>) {
    let Some(file) = files.get(path) else { return };
    if !reached.insert(path.to_owned()) {
        return;
    }
    let code = Code::new(&file.text);
    for declaration in code.mod_declarations() {
        for candidate in candidates(path, place, file, &declaration) {
            let place = if candidate.ends_with("/mod.rs") { Place::Root } else { Place::Module };
            reach(&candidate, place, files, reached);
        }
    }
    for (_, included) in included(path, &file.text) {
        reach(&included, Place::Root, files, reached);
    }
}

/// Where the file of a declaration may lie.
fn candidates(path: &str, place: Place, file: &File, declaration: &ModDeclaration) -> Vec<String> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    if let Some(named) = path_attribute(&file.text[..declaration.position]) {
        return vec![normal(&format!("{directory}/{named}"))];
    }
    let stem =
        path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
    let mut base = match place {
        Place::Root => directory.to_owned(),
        Place::Module => format!("{directory}/{stem}"),
    };
    for inline in &declaration.inside {
        base = format!("{base}/{inline}");
    }
    let name = &declaration.name;
    vec![normal(&format!("{base}/{name}.rs")), normal(&format!("{base}/{name}/mod.rs"))]
}

/// The value of a `#[path = "..."]` directly before the declaration.
fn path_attribute(before: &str) -> Option<&str> {
    let item = before.rsplit([';', '}']).next()?;
    let value = item.split_once("#[path")?.1.split('"').nth(1)?;
    Some(value)
}

/// Files taken in by `include!("...")`.
fn included<'t>(path: &str, text: &'t str) -> Vec<(&'t str, String)> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    text.split("include!(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| (name, normal(&format!("{directory}/{name}"))))
        .collect()
}

/// Without `a/../` and without a leading `/`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture;

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| fixture(path, text)).collect();
        check(&files).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_file_that_no_module_declares_is_found() {
        let files = [
            ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("crates/a/src/lib.rs", "mod b;\n// mod dead;\nmod inline { mod e; }\n"),
            ("crates/a/src/b.rs", "mod c;\n#[path = \"odd.rs\"]\nmod d;\n"),
            ("crates/a/src/b/c.rs", ""),
            ("crates/a/src/odd.rs", ""),
            ("crates/a/src/inline/e.rs", ""),
            ("crates/a/src/dead.rs", "mod below;\n"),
            ("crates/a/src/dead/below.rs", ""),
            ("crates/a/tests/common/mod.rs", "mod deeper;\n"),
            ("crates/a/tests/common/deeper.rs", ""),
            ("crates/a/tests/end_to_end.rs", "mod common;\n"),
            ("crates/a/examples/read.rs", ""),
        ];
        assert_eq!(dead(&files), ["crates/a/src/dead.rs", "crates/a/src/dead/below.rs"]);
    }

    #[test]
    fn targets_named_in_the_manifest_are_alive() {
        let files = [
            ("fuzz/Cargo.toml", "[[bin]]\nname = \"tlv\"\npath = \"fuzz_targets/tlv.rs\"\n"),
            ("fuzz/fuzz_targets/tlv.rs", ""),
            ("fuzz/fuzz_targets/forgotten.rs", ""),
        ];
        assert_eq!(dead(&files), ["fuzz/fuzz_targets/forgotten.rs"]);
    }

    #[test]
    fn module_files_in_both_forms_are_alive() {
        let files = [
            ("x/Cargo.toml", ""),
            ("x/src/main.rs", "mod a;"),
            ("x/src/a/mod.rs", "mod b;"),
            ("x/src/a/b.rs", "mod c;"),
            ("x/src/a/b/c.rs", ""),
        ];
        assert!(dead(&files).is_empty());
    }
}
