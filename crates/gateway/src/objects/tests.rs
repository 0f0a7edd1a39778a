use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("objects-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    fn open(&self) -> Objects {
        Objects::open(Origin { directory: self.0.clone(), builtin: false })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An object with one resource of this type.
fn definition(id: u16, version: &str, name: &str, data_type: &str) -> String {
    format!(
        "<LWM2M><Object><Name>{name}</Name><ObjectID>{id}</ObjectID>\
         <ObjectVersion>{version}</ObjectVersion>\
         <MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>\
         <Resources><Item ID=\"1\"><Name>Value</Name><Operations>R</Operations>\
         <MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>\
         <Type>{data_type}</Type></Item></Resources></Object></LWM2M>"
    )
}

/// Definitions in use as `id version name file`, then what is wrong with files.
fn shown(objects: &Objects) -> Vec<String> {
    let loaded = objects.loaded();
    let file = |path: &str| Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
    let definitions = loaded.definitions.iter().map(|definition| {
        let source = definition.file.as_deref().map_or("built-in".to_owned(), file);
        format!("{} {} {} {source}", definition.id, definition.version, definition.name)
    });
    let refused = loaded.files.iter().filter_map(|each| match &each.state {
        FileState::Refused { former, .. } => Some(format!("{}: {former:?}", file(&each.file))),
        _ => None,
    });
    definitions.chain(refused).collect()
}

#[test]
fn what_is_there_at_the_start_is_read_at_once() {
    let scratch = Scratch::new("start");
    scratch.write("a.xml", &definition(33000, "1.0", "First", "Integer"));
    scratch.write("B.XML", &definition(33001, "1.1", "Second", "Integer"));
    scratch.write("index.xml", "<DDF/>");
    scratch.write("notes.txt", "no definition");
    let objects = scratch.open();
    assert_eq!(shown(&objects), ["33000 1.0 First a.xml", "33001 1.1 Second B.XML"]);
    assert!(objects.look().is_none());
}

#[test]
fn a_file_that_comes_changes_or_goes_counts_when_two_looks_found_it_the_same() {
    let scratch = Scratch::new("life");
    let objects = scratch.open();
    let file = "a.xml";
    scratch.write(file, &definition(33000, "1.0", "Old", "Integer"));
    assert!(objects.look().is_none(), "it may still be written");
    assert_eq!(objects.look().unwrap().len(), 1);
    assert!(objects.look().is_none());
    scratch.write(file, &definition(33000, "1.0", "New name", "Integer"));
    assert!(objects.look().is_none());
    assert!(objects.look().is_some());
    assert_eq!(shown(&objects), ["33000 1.0 New name a.xml"]);
    fs::remove_file(scratch.0.join(file)).unwrap();
    assert!(objects.look().is_none());
    assert!(objects.look().unwrap().is_empty());
    assert_eq!(objects.counters().changes.load(Ordering::Relaxed), 3);
}

#[test]
fn a_file_that_is_still_written_is_not_read() {
    let scratch = Scratch::new("half");
    let objects = scratch.open();
    let whole = definition(33000, "1.0", "Whole", "Integer");
    for end in [10, 100, 200] {
        scratch.write("a.xml", &whole[..end]);
        assert!(objects.look().is_none());
    }
    scratch.write("a.xml", &whole);
    objects.look();
    objects.look();
    assert_eq!(shown(&objects), ["33000 1.0 Whole a.xml"]);
    assert_eq!(objects.loaded().refused(), 0);
}

#[test]
fn a_slip_in_a_file_is_told_and_leaves_its_former_definition_in_use() {
    let scratch = Scratch::new("slip");
    scratch.write("a.xml", &definition(33000, "1.0", "Good", "Integer"));
    let objects = scratch.open();
    scratch.write("a.xml", "<LWM2M><Object>");
    objects.look();
    assert!(objects.look().is_some());
    assert_eq!(shown(&objects), ["33000 1.0 Good a.xml", "a.xml: Kept"]);
    scratch.write("a.xml", &definition(33000, "1.0", "Better", "Integer"));
    objects.look();
    objects.look();
    assert_eq!(shown(&objects), ["33000 1.0 Better a.xml"]);
    scratch.write("b.xml", "nothing good");
    objects.look();
    objects.look();
    assert_eq!(shown(&objects), ["33000 1.0 Better a.xml", "b.xml: None"]);
}

#[test]
fn of_two_files_that_conflict_the_second_counts_when_the_first_goes() {
    let scratch = Scratch::new("conflict");
    scratch.write("a.xml", &definition(33000, "1.0", "First", "Integer"));
    scratch.write("b.xml", &definition(33000, "1.0", "Second", "Integer"));
    let objects = scratch.open();
    assert_eq!(shown(&objects), ["33000 1.0 First a.xml", "b.xml: None"]);
    fs::remove_file(scratch.0.join("a.xml")).unwrap();
    objects.look();
    objects.look();
    assert_eq!(shown(&objects), ["33000 1.0 Second b.xml"]);
}

#[test]
fn a_directory_may_come_later_and_go() {
    let scratch = Scratch::new("late");
    let directory = scratch.0.join("xml");
    let objects = Objects::open(Origin { directory: directory.clone(), builtin: false });
    assert!(objects.look().is_none());
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("a.xml"), definition(33000, "1.0", "Late", "Integer")).unwrap();
    objects.look();
    assert_eq!(objects.look().unwrap().len(), 1);
    fs::remove_dir_all(&directory).unwrap();
    objects.look();
    assert!(objects.look().unwrap().is_empty());
}

#[test]
fn a_directory_that_is_swapped_by_a_link_is_noticed() {
    let scratch = Scratch::new("link");
    for (version, name) in [("one", "Before"), ("two", "After")] {
        fs::create_dir(scratch.0.join(version)).unwrap();
        let text = definition(33000, "1.0", name, "Integer");
        fs::write(scratch.0.join(version).join("a.xml"), text).unwrap();
    }
    let link = scratch.0.join("current");
    std::os::unix::fs::symlink("one", &link).unwrap();
    let objects = Objects::open(Origin { directory: link.clone(), builtin: false });
    std::os::unix::fs::symlink("two", scratch.0.join("next")).unwrap();
    fs::rename(scratch.0.join("next"), &link).unwrap();
    objects.look();
    objects.look();
    assert_eq!(shown(&objects), ["33000 1.0 After a.xml"]);
}

#[test]
fn another_directory_takes_effect_with_the_next_look() {
    let (one, two) = (Scratch::new("one"), Scratch::new("two"));
    one.write("a.xml", &definition(33000, "1.0", "One", "Integer"));
    two.write("b.xml", &definition(33001, "1.0", "Two", "Integer"));
    let objects = one.open();
    objects.set_origin(Origin { directory: two.0.clone(), builtin: false });
    assert!(objects.look().is_some());
    assert_eq!(shown(&objects), ["33001 1.0 Two b.xml"]);
    objects.set_origin(Origin { directory: two.0.clone(), builtin: true });
    let models = objects.look().unwrap();
    assert!(models.lookup(3, None).is_some() && models.lookup(33001, None).is_some());
}

#[test]
fn a_file_that_takes_the_place_of_a_built_in_definition_gives_it_back_when_it_goes() {
    let scratch = Scratch::new("builtin");
    scratch.write("3.xml", &definition(3, "1.1", "My device", "Integer"));
    let objects = Objects::open(Origin { directory: scratch.0.clone(), builtin: true });
    let name = |objects: &Objects| {
        objects.models().lookup(3, Some(Version::new(1, 1))).unwrap().name.to_string()
    };
    assert_eq!(name(&objects), "My device");
    fs::remove_file(scratch.0.join("3.xml")).unwrap();
    objects.look();
    objects.look();
    assert_eq!(name(&objects), "Device");
}

/// Every file of the OMA registry, where `OMA_REGISTRY_DIR` has it: added one after the other
/// while the gateway would be running.
#[test]
fn the_files_of_the_registry_come_while_it_runs() {
    let Some(registry) = std::env::var_os("OMA_REGISTRY_DIR").map(PathBuf::from) else {
        return println!("skipped: OMA_REGISTRY_DIR is not set");
    };
    let scratch = Scratch::new("registry");
    let objects = scratch.open();
    for number in 0..3 {
        for entry in fs::read_dir(&registry).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let id = name.strip_suffix(".xml").and_then(|stem| stem.parse::<u16>().ok());
            if id.is_some_and(|id| id % 3 == number) {
                fs::copy(&path, scratch.0.join(name)).unwrap();
            }
        }
        assert!(objects.look().is_none());
        let loaded = objects.look().map(|models| models.len());
        assert_eq!(loaded, Some(objects.loaded().files.len()), "each file is one definition");
    }
    assert_eq!((objects.models().len(), objects.loaded().refused()), (327, 0));
}
