//! Devices that say too much: `lwm2m.limits`. The rest of the gateway goes on as if nothing were.

use gateway::config::Profile;
use serde_json::json;

use crate::bench::{Gateway, LINKS, register_request, unique_name};
use crate::coap::{CON, NON, code_name};

in_both_profiles!(limits);

fn limits(profile: Profile) {
    let gateway = Gateway::start_with(profile, "limits", |config| {
        config.lwm2m.limits.notifications_per_second = 20;
        config.lwm2m.limits.registrations_per_minute = 5;
    });
    let mut device = gateway.registered(&unique_name());
    let observe = json!({"msgType": "observe", "data": {"path": "/3/0/9"}});
    let request = device.command(&observe);
    device.answer(&request, "2.05 observe=0 text 1");
    device.published();
    // 500 notifications in a second.
    for number in 1..=500 {
        device.separately(NON, &request, &format!("2.05 observe={number} text {number}"));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // One that is confirmable is acknowledged whether or not it is within the limit.
    let id = device.separately(CON, &request, "2.05 observe=501 text 501");
    device.acknowledged(id);
    // Commands are served all the same, and behind what was published.
    let read = json!({"reqID": "last", "msgType": "read", "data": {"path": "/3/0/15"}});
    let read = device.command(&read);
    device.answer(&read, "4.04");
    let mut notified = 0;
    while device.published().json["msgType"] == "notify" {
        notified += 1;
    }
    assert!((20..200).contains(&notified), "{notified} of 501");

    let mut looping = gateway.device(&unique_name());
    let codes: Vec<String> = (0..8)
        .map(|_| {
            let request = register_request(&looping, &["ep=EP", "lt=60", "lwm2m=1.1"], LINKS);
            code_name(looping.ask(&request).code)
        })
        .collect();
    assert_eq!(codes[..5], ["2.01"; 5]);
    assert_eq!(codes[5..], ["5.03"; 3]);
    for _ in 0..5 {
        assert_eq!(looping.published().json["msgType"], "register");
    }
    gateway.registered(&unique_name());
}
