//! A device registers with a server of two lines, is read, and tells a changed value.
//!
//! `cargo run -p device --example registration`

use std::error::Error;
use std::sync::Arc;

use coap::{Code, Instant, Message, MessageId, OptionList, Token, Type};
use device::{Device, Profile};
use lwm2m::{Models, Path, Value, Version};

fn main() -> Result<(), Box<dyn Error>> {
    let now = Instant::ZERO;
    let profile = Profile::new(Version::V1_1, Arc::new(Models::builtin())).into_shared();
    let mut device = Device::new("sensor-1", profile, 7, now);

    let register = next(&mut device);
    let register = Message::parse(&register)?;
    let mut location = OptionList::new();
    location.location_path("rd");
    location.location_path("1");
    let taken = (Type::Acknowledgement, Code::CREATED);
    device.handle_datagram(now, &message(taken, register.id, register.token, &location));

    let mut observe = OptionList::new();
    observe.observe(0);
    for segment in ["3303", "0", "5700"] {
        observe.uri_path(segment);
    }
    observe.accept(coap::ContentFormat::TEXT);
    let asked = (Type::Confirmable, Code::GET);
    let token = Token::new(b"t1").unwrap_or_default();
    device.handle_datagram(now, &message(asked, MessageId::new(1), token, &observe));
    show("observed", &next(&mut device))?;

    device.set_value(now, Path::resource(3303, 0, 5700), Value::Float(22.5));
    show("notified", &next(&mut device))?;
    while let Some(event) = device.poll_event() {
        println!("{event:?}");
    }
    Ok(())
}

fn next(device: &mut Device) -> Vec<u8> {
    let mut datagram = Vec::new();
    device.poll_transmit(&mut datagram);
    datagram
}

fn message(kind: (Type, Code), id: MessageId, token: Token, options: &OptionList) -> Vec<u8> {
    let mut datagram = Vec::new();
    let (kind, code) = kind;
    let options = options.options();
    Message { kind, code, id, token, options, payload: &[] }.encode(&mut datagram);
    datagram
}

fn show(what: &str, datagram: &[u8]) -> Result<(), Box<dyn Error>> {
    let message = Message::parse(datagram)?;
    let text = String::from_utf8_lossy(message.payload);
    println!("{what}: {} with number {:?}: {text}", message.code, message.options.observe());
    Ok(())
}
