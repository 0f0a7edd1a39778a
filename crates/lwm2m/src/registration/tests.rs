use super::*;

#[test]
fn a_register_is_taken_apart() {
    let queries: [&[u8]; 4] = [b"ep=node", b"lt=345", b"lwm2m=1.1", b"Q"];
    let register = Register::parse(queries, b"</3/0>").expect("well formed");
    assert_eq!(register.endpoint, Some("node"));
    assert_eq!(register.lifetime, Ok(Some(Lifetime::from_secs(345))));
    assert_eq!(register.parameters.queue_mode(), QueueMode::Parameter);
}
