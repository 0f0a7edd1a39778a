//! Which tests say `Fact N:` in their doc comments, found in the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files::{self, File};

/// Fact → tests, named as in the log of a run.
pub(super) fn scan(root: &Path) -> Result<BTreeMap<u32, BTreeSet<String>>, String> {
    let files = files::read_all(&root.join("crates"), &["rs", "toml"])?;
    let mut facts: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let Some(module) = module_path(file, &files) else { continue };
        for (fact, function) in named_facts(&file.text) {
            facts.entry(fact).or_default().insert(format!("{module}::{function}"));
        }
    }
    Ok(facts)
}

/// `coap/src/block/tests.rs` is `coap::block::tests`; `gateway/tests/commands.rs` is `commands`.
fn module_path(file: &File, files: &[File]) -> Option<String> {
    let path = file.path.strip_suffix(".rs")?;
    let parts: Vec<&str> = path.split('/').collect();
    let modules = |parts: &[&str]| {
        let known = |part: &&&str| !matches!(**part, "lib" | "main" | "mod");
        parts.iter().filter(known).map(|part| format!("::{part}")).collect::<String>()
    };
    match parts[..] {
        [directory, "src", ref below @ ..] => {
            Some(format!("{}{}", target_name(directory, files), modules(below)))
        }
        [_, "tests", target, ref below @ ..] => Some(format!("{target}{}", modules(below))),
        _ => None,
    }
}

/// The name of the library: that of `[lib]`, or that of the package.
fn target_name(directory: &str, files: &[File]) -> String {
    let manifest = files.iter().find(|file| file.path == format!("{directory}/Cargo.toml"));
    let table: toml::Table = manifest.and_then(|file| file.text.parse().ok()).unwrap_or_default();
    let name = |section: &str| table.get(section)?.get("name")?.as_str();
    name("lib").or_else(|| name("package")).unwrap_or(directory).replace('-', "_")
}

/// The facts in doc comments and the functions that these belong to, with the inline test module
/// that they stand in.
fn named_facts(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut pending: Vec<u32> = Vec::new();
    let mut inline = "";
    for line in text.lines() {
        let code = line.trim_start();
        if let Some(doc) = code.strip_prefix("///") {
            pending.extend(facts_in(doc));
        } else if let Some(name) =
            code.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {"))
        {
            inline = name;
        } else if let Some(name) = function_name(code) {
            let module = if line == code || inline.is_empty() {
                String::new()
            } else {
                format!("{inline}::")
            };
            found.extend(pending.drain(..).map(|fact| (fact, format!("{module}{name}"))));
        } else if !code.starts_with('#') && !code.starts_with(')') && !code.is_empty() {
            // Something else than a function was documented.
            pending.clear();
        }
    }
    found
}

fn function_name(code: &str) -> Option<&str> {
    let code = code.strip_prefix("pub ").unwrap_or(code);
    let code = code.strip_prefix("async ").unwrap_or(code);
    let rest = code.strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// `Fact 26:`, `Facts 26, 27 and 30:`, `Facts 1-8:`.
fn facts_in(doc: &str) -> Vec<u32> {
    let mut facts = Vec::new();
    for rest in doc.split("Fact").skip(1) {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let Some((numbers, _)) = rest.split_once(':') else { continue };
        let list = numbers.replace(" and ", ",");
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (from, to) = item.split_once('-').unwrap_or((item, item));
            match (from.trim().parse::<u32>(), to.trim().parse::<u32>()) {
                (Ok(from), Ok(to)) if from <= to => facts.extend(from..=to),
                // A sentence that only speaks of facts.
                _ => return facts,
            }
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_in_their_usual_forms() {
        for (doc, expected) in [
            (" Fact 26: a duplicate is answered.", vec![26]),
            (" Facts 26, 27 and 30: repeated.", vec![26, 27, 30]),
            (" Facts 1-3: queries.", vec![1, 2, 3]),
            (" Fact 4: x. Fact 5: y.", vec![4, 5]),
            (" In fact this: nothing.", vec![]),
            (" The Factory: nothing.", vec![]),
        ] {
            assert_eq!(facts_in(doc), expected, "{doc}");
        }
    }

    #[test]
    fn the_function_below_the_comment_is_the_test() {
        let text = "/// Fact 1: not a test.\nconst X: u8 = 1;\n#[cfg(test)]\nmod tests {\n    \
                    /// Fact 2: a test.\n    #[test]\n    fn two() {}\n    #[tokio::test]\n    \
                    async fn none() {}\n}\n";
        assert_eq!(named_facts(text), [(2, "tests::two".to_owned())]);
        assert_eq!(
            named_facts("/// Fact 3: x\n#[test]\nfn three() {}\n"),
            [(3, "three".to_owned())]
        );
    }

    #[test]
    fn modules_are_named_as_the_log_names_them() {
        let files = [
            File {
                path: "coap/Cargo.toml".to_owned(),
                text: "[package]\nname = \"coap\"".to_owned(),
            },
            File {
                path: "gateway/Cargo.toml".to_owned(),
                text: "[package]\nname = \"lwm2m-gateway\"\n[lib]\nname = \"gateway\"".to_owned(),
            },
        ];
        for (path, expected) in [
            ("coap/src/block/tests.rs", "coap::block::tests"),
            ("coap/src/lib.rs", "coap"),
            ("gateway/src/mqtt/mod.rs", "gateway::mqtt"),
            ("gateway/tests/commands.rs", "commands"),
            ("gateway/tests/commands/read.rs", "commands::read"),
        ] {
            let file = File { path: path.to_owned(), text: String::new() };
            assert_eq!(module_path(&file, &files).as_deref(), Some(expected));
        }
    }
}
