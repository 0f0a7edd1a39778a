//! The definitions that are part of the product, read from tables of our own.
//!
//! Facts from the OMA registry: ids, names, types, operations, multiplicity, presence. The notation
//! is explained at the head of each table; a test compares them with the registry.

use std::sync::Arc;

use super::{Models, Multiplicity, ObjectModel, Operations, Presence, ResourceModel};
use crate::{DataType, Version};

/// One table a file, each below 500 lines.
const TABLES: [&str; 4] = [
    include_str!("builtin/core.txt"),
    include_str!("builtin/ipso-3200.txt"),
    include_str!("builtin/ipso-3320.txt"),
    include_str!("builtin/test.txt"),
];

/// The definitions of all tables.
pub(super) fn models() -> Models {
    let mut models = Models::empty();
    for table in TABLES {
        // The tables are ours; that no entry of them is passed over is what the tests see to.
        for entry in table.split("\n@").skip(1) {
            add(&mut models, entry);
        }
    }
    models
}

fn add(models: &mut Models, entry: &str) {
    let mut lines = entry.lines();
    let Some((versions, mut model)) = lines.next().and_then(parse_object) else { return };
    model.resources = lines.filter_map(parse_resource).collect();
    for version in versions.split(',').filter_map(Version::parse) {
        let model = ObjectModel { version, ..model.clone() };
        models.objects.insert((model.id, version), Arc::new(model));
    }
}

/// `id|versions|instances and presence|name`, behind the `@`.
fn parse_object(line: &str) -> Option<(&str, ObjectModel)> {
    let [id, versions, flags, name] = fields(line)?;
    let (multiplicity, presence) = parse_flags(flags)?;
    let model = ObjectModel {
        id: id.parse().ok()?,
        version: Version::V1_0,
        name: name.into(),
        multiplicity,
        presence,
        resources: Box::default(),
    };
    Some((versions, model))
}

/// `id|operations|instances and presence|type|name`.
fn parse_resource(line: &str) -> Option<ResourceModel> {
    let [id, operations, flags, data_type, name] = fields(line)?;
    let (multiplicity, presence) = parse_flags(flags)?;
    Some(ResourceModel {
        id: id.parse().ok()?,
        name: name.into(),
        operations: Operations::parse(operations)?,
        multiplicity,
        presence,
        data_type: DataType::parse(data_type)?,
    })
}

fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let fields: Vec<&str> = line.split('|').collect();
    fields.try_into().ok()
}

fn parse_flags(flags: &str) -> Option<(Multiplicity, Presence)> {
    let (instances, presence) = flags.split_at_checked(1)?;
    let multiplicity = match instances {
        "S" => Multiplicity::Single,
        "M" => Multiplicity::Multiple,
        _ => return None,
    };
    let presence = match presence {
        "M" => Presence::Mandatory,
        "O" => Presence::Optional,
        _ => return None,
    };
    Some((multiplicity, presence))
}
