//! What the tests of all codecs share: a few object definitions, and paths and bytes from text.

use super::{Context, UnknownPolicy};
use crate::model::{FileOutcome, ModelsBuilder};
use crate::{DataType, ModelView, Models, Path};

/// 2026-01-02 03:04:05.678 UTC.
pub(crate) const WALL_MS: i64 = 1_767_323_045_678;

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).expect("a path in a test")
}

/// The bytes of hexadecimal digits, spaces ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Definitions of objects 1, 3, 5, 6, 65, 66 and 3442 as far as the tests use them.
pub(crate) struct Fleet {
    models: Models,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self { models: testing_models() }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.with(UnknownPolicy::Raw)
    }

    pub(crate) fn strict(&self) -> Context<'_> {
        self.with(UnknownPolicy::Reject)
    }

    fn with(&self, unknown: UnknownPolicy) -> Context<'_> {
        Context { models: ModelView::new(&self.models, &[]), wall_ms: WALL_MS, unknown }
    }
}

/// The types of object 3442, LwM2M v1.1 Test Object: single at the tens, multiple a thousand above.
pub(crate) const TEST_TYPES: [(u16, DataType); 9] = [
    (110, DataType::String),
    (120, DataType::Integer),
    (125, DataType::Unsigned),
    (130, DataType::Float),
    (140, DataType::Boolean),
    (150, DataType::Opaque),
    (160, DataType::Time),
    (170, DataType::Objlnk),
    (180, DataType::Corelnk),
];

type Resource = (u16, DataType, &'static str);

fn testing_models() -> Models {
    use DataType::{Boolean, Float, Integer, Objlnk, Opaque, String, Time};
    const MANY: &str = "Multiple";
    const ONE: &str = "Single";
    let device: Vec<Resource> = vec![
        (0, String, ONE),
        (1, String, ONE),
        (2, String, ONE),
        (3, String, ONE),
        (4, DataType::None, ONE),
        (6, Integer, MANY),
        (7, Integer, MANY),
        (8, Integer, MANY),
        (9, Integer, ONE),
        (10, Integer, ONE),
        (11, Integer, MANY),
        (13, Time, ONE),
        (14, String, ONE),
        (15, String, ONE),
        (16, String, ONE),
        (22, Objlnk, MANY),
    ];
    let server = vec![(0, Integer, ONE), (1, Integer, ONE), (6, Boolean, ONE), (7, String, ONE)];
    let access = vec![(0, Integer, ONE), (1, Integer, ONE), (2, Integer, MANY), (3, Integer, ONE)];
    let firmware = vec![(0, Opaque, ONE), (1, String, ONE), (3, Integer, ONE)];
    let location = vec![(0, Float, ONE), (1, Float, ONE), (4, Opaque, ONE), (5, Time, ONE)];
    let test = TEST_TYPES
        .iter()
        .flat_map(|(id, kind)| [(*id, *kind, ONE), (id + 1000, *kind, MANY)])
        .chain([(4, DataType::None, ONE), (6, DataType::None, ONE)])
        .collect();
    let mut builder = ModelsBuilder::new(Models::empty());
    for (id, multiplicity, resources) in [
        (1, MANY, server),
        (2, MANY, access),
        (3, ONE, device),
        (5, ONE, firmware),
        (6, ONE, location),
        (65, MANY, vec![(0, Objlnk, MANY), (1, String, ONE), (2, Integer, ONE)]),
        (66, MANY, vec![(0, String, ONE), (1, String, ONE), (2, Objlnk, ONE)]),
        (72, MANY, vec![(1, String, ONE), (2, Float, ONE), (3, Float, MANY)]),
        (3442, MANY, test),
    ] {
        let outcome = builder.add_file("test", definition(id, multiplicity, resources).as_bytes());
        assert!(matches!(outcome, FileOutcome::Loaded { .. }), "{outcome:?}");
    }
    builder.finish()
}

fn definition(id: u16, multiplicity: &str, resources: Vec<Resource>) -> String {
    let items: String = resources
        .into_iter()
        .map(|(id, data_type, multiplicity)| {
            let operations = if data_type == DataType::None { "E" } else { "RW" };
            format!(
                "<Item ID=\"{id}\"><Name>R</Name><Operations>{operations}</Operations>\
                 <MultipleInstances>{multiplicity}</MultipleInstances>\
                 <Mandatory>Optional</Mandatory><Type>{}</Type></Item>",
                data_type.name()
            )
        })
        .collect();
    format!(
        "<LWM2M><Object ObjectType=\"MODefinition\"><Name>O</Name><ObjectID>{id}</ObjectID>\
         <MultipleInstances>{multiplicity}</MultipleInstances><Mandatory>Optional</Mandatory>\
         <Resources>{items}</Resources></Object></LWM2M>"
    )
}
