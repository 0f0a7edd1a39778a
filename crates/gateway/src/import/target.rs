//! Our configuration file under construction: values by section, and notes as comments.

use std::path::Path;

use super::value::quoted;
use super::{Fault, Imported, Note};

/// What was gathered so far.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Sections in the order in which they are written; the root has no name.
    sections: Vec<(String, Vec<String>)>,
    notes: Vec<Note>,
    faults: Vec<Fault>,
    origins: Vec<(String, usize)>,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) line: usize,
    pub(super) key: &'a str,
}

impl Target {
    /// Writes a line; `value` is TOML.
    pub(super) fn set(&mut self, section: &str, key: &str, value: &str) {
        self.line(section, format!("{key} = {value}"));
    }

    /// Writes what a conversion made, or takes its complaint.
    pub(super) fn put(&mut self, place: Place<'_>, ours: &str, value: Result<String, String>) {
        let (section, key) = ours.rsplit_once('.').unwrap_or(("", ours));
        match value {
            Ok(value) => {
                self.origins.push((ours.to_owned(), place.line));
                self.set(section, key, &value);
            }
            Err(complaint) => self.fault(place, &complaint),
        }
    }

    fn line(&mut self, section: &str, line: String) {
        let at = self.sections.iter().position(|(name, _)| name == section);
        let at = at.unwrap_or_else(|| {
            self.sections.push((section.to_owned(), Vec::new()));
            self.sections.len() - 1
        });
        if let Some((_, lines)) = self.sections.get_mut(at) {
            lines.push(line);
        }
    }

    /// Something has no counterpart or another meaning.
    pub(super) fn note(&mut self, place: Place<'_>, text: impl Into<String>) {
        let Place { line, key } = place;
        self.notes.push(Note { line: Some(line), key: key.to_owned(), text: text.into() });
    }

    /// The same about what the file does not say.
    pub(super) fn remark(&mut self, key: &str, text: &str) {
        self.notes.push(Note { line: None, key: key.to_owned(), text: text.to_owned() });
    }

    /// A value cannot be understood.
    pub(super) fn fault(&mut self, place: Place<'_>, complaint: &str) {
        self.faults.push(Fault::at(place.line, format!("{}: {complaint}", place.key)));
    }

    /// The file, unless something could not be understood.
    pub(super) fn finish(mut self, path: &Path, kind: &str) -> Result<Imported, Vec<Fault>> {
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|fault| fault.line);
            return Err(self.faults);
        }
        self.notes.sort_by_key(|note| note.line.unwrap_or(usize::MAX));
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let mut toml = format!("# Made by `lwm2m-gateway config import` from {name} ({kind}).\n");
        if !self.notes.is_empty() {
            toml.push_str("#\n# What has no counterpart here, or another meaning:\n");
            for note in &self.notes {
                // A comment must stay on its line, whatever stood in the file.
                toml.push_str(&format!("#   {}\n", note.to_string().replace(['\n', '\r'], " ")));
            }
        }
        self.sections.sort_by_key(|(name, _)| rank(name));
        for (name, lines) in self.sections {
            toml.push('\n');
            if !name.is_empty() {
                toml.push_str(&format!("[{name}]\n"));
            }
            for line in lines {
                toml.push_str(&line);
                toml.push('\n');
            }
        }
        Ok(Imported { toml, notes: self.notes, origins: self.origins })
    }
}

/// The order of sections; keys of the root must come first.
fn rank(section: &str) -> usize {
    let order = ["", "lwm2m", "lwm2m.topics", "coap"];
    order.iter().position(|name| *name == section).unwrap_or(order.len())
}

/// `{ topic = "up/resp", qos = 0 }`.
pub(super) fn topic(text: &str, qos: u8) -> String {
    format!("{{ topic = {}, qos = {qos} }}", quoted(text))
}
