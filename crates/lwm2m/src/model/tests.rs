use super::*;

#[test]
fn the_builtin_set_has_the_device_object() {
    let models = Models::builtin();
    let device = models.lookup(3, None).expect("object 3");
    assert_eq!((&*device.name, device.version), ("Device", Version::V1_2));
    assert_eq!(device.resources.len(), 23);
}
