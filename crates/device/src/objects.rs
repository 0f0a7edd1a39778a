//! The objects that a simulated device has, with believable values: OMA Core Appendix E, IPSO.
//!
//! Objects 1, 3, 4, 5, 6, 3303 and the test object 3442 with every data type. Their definitions
//! (types, allowed operations) come from [`lwm2m::Models`].

use lwm2m::model::ObjectVersion;
use lwm2m::{Path, Value, Version};

use crate::tree::{Defaults, Slot};

/// What object 3442 shows before anybody writes it, as the clients of other makers have it.
const TEST_TEXT: &str = "initial value";
const TEST_OPAQUE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
/// 2000-01-01 00:00 UTC.
const TEST_TIME: i64 = 946_684_800;
const TEST_UNSIGNED: u64 = 1 << 63;

/// The default objects of a device of that LwM2M version.
pub(crate) fn standard(version: Version) -> Defaults {
    let mut objects = Builder { defaults: Defaults::new(), at: Path::ROOT };
    objects.server(version);
    objects.device();
    objects.connectivity();
    objects.firmware();
    objects.location();
    objects.temperature();
    objects.test_values();
    objects.defaults
}

/// The object versions that such a device states, ascending by object.
pub(crate) fn versions(version: Version) -> Vec<ObjectVersion> {
    let of = |object, major_minor: Option<Version>| ObjectVersion { object, version: major_minor };
    // A 1.0 device has the 1.0 objects, whose version it leaves out (OMA Core 7.2.2).
    let newer = (version >= Version::V1_1).then_some(Version::V1_1);
    [1, 3, 4, 5, 6, 3303, 3442]
        .into_iter()
        .map(|object| match object {
            1 | 3 | 4 | 3303 => of(object, newer),
            _ => of(object, None),
        })
        .collect()
}

struct Builder {
    defaults: Defaults,
    /// The instance that values are being added to.
    at: Path,
}

impl Builder {
    fn instance(&mut self, object: u16) {
        self.at = Path::instance(object, 0);
        self.defaults.set(self.at, Slot::Instance);
    }

    fn put(&mut self, resource: u16, slot: Slot) {
        if let Some(path) = self.at.child(resource) {
            self.defaults.set(path, slot);
        }
    }

    fn value(&mut self, resource: u16, value: Value) {
        self.put(resource, Slot::Value(value));
    }

    fn text(&mut self, resource: u16, text: &str) {
        self.value(resource, Value::String(text.to_owned()));
    }

    fn integer(&mut self, resource: u16, number: i64) {
        self.value(resource, Value::Integer(number));
    }

    fn float(&mut self, resource: u16, number: f64) {
        self.value(resource, Value::Float(number));
    }

    fn executable(&mut self, resource: u16) {
        self.put(resource, Slot::Executable);
    }

    fn multiple(&mut self, resource: u16, values: impl IntoIterator<Item = Value>) {
        self.put(resource, Slot::Multiple);
        let Some(resource) = self.at.child(resource) else { return };
        for (instance, value) in (0_u16..).zip(values) {
            if let Some(path) = resource.child(instance) {
                self.defaults.set(path, Slot::Value(value));
            }
        }
    }

    fn integers(&mut self, resource: u16, numbers: &[i64]) {
        self.multiple(resource, numbers.iter().map(|number| Value::Integer(*number)));
    }

    fn server(&mut self, version: Version) {
        self.instance(1);
        self.integer(0, 1);
        self.integer(1, 86_400);
        self.integer(2, 0);
        self.integer(3, 0);
        self.value(6, Value::Boolean(true));
        self.text(7, "U");
        self.executable(8);
        if version >= Version::V1_1 {
            self.value(23, Value::Boolean(false));
        }
    }

    fn device(&mut self) {
        self.instance(3);
        self.text(0, "lwm2m-sim");
        self.text(1, "SIM-1");
        self.text(2, "0001-0002-0003");
        self.text(3, "1.0.0");
        self.executable(4);
        self.executable(5);
        self.integers(6, &[1, 5]);
        self.integers(7, &[3800, 5000]);
        self.integers(8, &[125, 900]);
        self.integer(9, 100);
        self.integer(10, 15);
        self.integers(11, &[0]);
        self.executable(12);
        self.value(13, Value::Time(1_700_000_000));
        self.text(14, "+00:00");
        self.text(15, "Etc/UTC");
        self.text(16, "U");
        self.text(17, "sensor");
        self.text(18, "1.0");
        self.text(19, "1.0.0");
        self.integer(20, 0);
        self.integer(21, 64);
    }

    fn connectivity(&mut self) {
        self.instance(4);
        self.integer(0, 6);
        self.integers(1, &[6, 7]);
        self.integer(2, -85);
        self.integer(3, 80);
        self.multiple(4, [Value::String("192.0.2.17".to_owned())]);
        self.multiple(5, [Value::String("192.0.2.1".to_owned())]);
        self.integer(6, 12);
        self.multiple(7, [Value::String("iot.example".to_owned())]);
        self.integer(8, 268_435_455);
        self.integer(9, 1);
        self.integer(10, 1);
    }

    fn firmware(&mut self) {
        self.instance(5);
        self.value(0, Value::Opaque(Vec::new()));
        self.text(1, "");
        self.executable(2);
        self.integer(3, 0);
        self.integer(5, 0);
        self.text(6, "");
        self.text(7, "");
        self.integers(8, &[0]);
        self.integer(9, 2);
    }

    fn location(&mut self) {
        self.instance(6);
        self.float(0, 48.137_15);
        self.float(1, 11.576_1);
        self.float(2, 519.0);
        self.float(3, 25.0);
        self.value(4, Value::Opaque(vec![0x00, 0x5a, 0x00, 0x00]));
        self.value(5, Value::Time(1_700_000_000));
        self.float(6, 0.0);
    }

    fn temperature(&mut self) {
        self.instance(3303);
        self.float(5601, 21.5);
        self.float(5602, 21.5);
        self.float(5603, -40.0);
        self.float(5604, 125.0);
        self.executable(5605);
        self.float(5700, 21.5);
        self.text(5701, "Cel");
        self.text(5750, "room");
    }

    // 3.14159 is what the clients of other makers show, not an attempt at pi.
    #[allow(clippy::approx_constant)]
    fn test_values(&mut self) {
        self.instance(3442);
        for resource in [0, 1, 2, 3, 5] {
            self.executable(resource);
        }
        self.multiple(4, []);
        self.multiple(6, []);
        let values = [
            (110, Value::String(TEST_TEXT.to_owned())),
            (120, Value::Integer(1024)),
            (125, Value::Unsigned(TEST_UNSIGNED)),
            (130, Value::Float(3.14159)),
            (140, Value::Boolean(true)),
            (150, Value::Opaque(TEST_OPAQUE.to_vec())),
            (160, Value::Time(TEST_TIME)),
            (170, Value::Objlnk(3, 0)),
            (180, Value::Corelnk("</3442>".to_owned())),
        ];
        for (resource, value) in values {
            self.value(resource, value.clone());
            self.multiple(resource + 1000, [value]);
        }
    }
}
