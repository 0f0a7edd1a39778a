//! The OMA registry of object definitions, when it is at hand: `OMA_REGISTRY_DIR` names a checkout
//! of it. It is not part of the project; what is odd in its files has fixtures of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lwm2m::model::{FileOutcome, Models, ModelsBuilder};
use lwm2m::{ObjectModel, Version};

/// Object definitions in the registry, as distinct pairs of id and version.
const DEFINITIONS: usize = 424;

fn registry() -> Option<PathBuf> {
    let dir = std::env::var_os("OMA_REGISTRY_DIR").map(PathBuf::from);
    if dir.is_none() {
        println!("skipped: OMA_REGISTRY_DIR is not set");
    }
    dir
}

fn xml_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a readable directory");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    files
}

fn load(dir: &Path, base: Models) -> (Models, BTreeMap<String, FileOutcome>) {
    let mut builder = ModelsBuilder::new(base);
    let files = [xml_files(dir), xml_files(&dir.join("version_history"))].concat();
    let outcomes = files.iter().map(|path| {
        let name = path.strip_prefix(dir).expect("below the directory").display().to_string();
        let outcome = builder.add_file(&name, &fs::read(path).expect("a readable file"));
        (name, outcome)
    });
    let outcomes = outcomes.collect();
    (builder.finish(), outcomes)
}

#[test]
fn all_definitions_of_the_registry_load() {
    let Some(dir) = registry() else { return };
    let (models, outcomes) = load(&dir, Models::empty());
    assert_eq!(models.len(), DEFINITIONS);
    let loaded = outcomes.values().filter(|it| matches!(it, FileOutcome::Loaded { .. })).count();
    assert_eq!(loaded, DEFINITIONS);
    let others: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| {
            !matches!(outcome, FileOutcome::Loaded { .. } | FileOutcome::Same { .. })
        })
        .collect();
    let names: Vec<_> = others.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Common.xml", "DDF.xml", "LWM2M_senml_units.xml"], "{others:?}");
    assert!(others.iter().all(|(_, outcome)| **outcome == FileOutcome::NotADefinition));
}

#[test]
fn the_builtin_set_agrees_with_the_registry() {
    let Some(dir) = registry() else { return };
    let (registry, _) = load(&dir, Models::empty());
    let builtin = Models::builtin();
    for ours in builtin.iter() {
        let found = registry.lookup(ours.id, Some(ours.version));
        assert_eq!(found, Some(ours), "object {} version {}", ours.id, ours.version);
    }
    for theirs in registry.iter().filter(|model| builtin.lookup(model.id, None).is_some()) {
        let found = builtin.lookup(theirs.id, Some(theirs.version));
        assert_eq!(found, Some(theirs), "object {} version {}", theirs.id, theirs.version);
    }
}

#[test]
fn registry_files_beside_the_builtin_set_conflict_with_nothing() {
    let Some(dir) = registry() else { return };
    let (models, outcomes) = load(&dir, Models::builtin());
    assert_eq!(models.len(), DEFINITIONS);
    let refused = outcomes.values().filter(|it| matches!(it, FileOutcome::Refused(_))).count();
    assert_eq!(refused, 0);
    let device = models.lookup(3, Some(Version::V1_1));
    assert!(device.is_some_and(|model: &ObjectModel| &*model.name == "Device"));
}
