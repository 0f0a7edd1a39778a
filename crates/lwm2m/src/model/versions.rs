//! Which version of an object a device means that states none: OMA Core 7.2.2.

use crate::Version;

/// The version of an object that was registered without `ver`.
///
/// Objects that are part of the enabler have the version that came with it, all others 1.0.
/// `enabler` is the version of LwM2M that the device speaks; one that we do not know counts as the
/// newest below.
pub fn default_version(object: u16, enabler: Version) -> Version {
    let minor = match (object, enabler.minor) {
        _ if enabler < Version::V1_1 => 0,
        (0 | 1 | 3, 1) => 1,
        (4, 1) => 2,
        (_, 1) => 0,
        (0 | 1 | 3, _) => 2,
        (2 | 5, _) => 1,
        (4, _) => 3,
        (21, _) => return Version::new(2, 0),
        _ => 0,
    };
    Version::new(1, minor)
}
