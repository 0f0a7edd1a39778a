//! Listings by cursor, and lookup.

use coap::{Code, Peer};

use super::rig::{Msg, Rig, peer_at, read};
use crate::{Cursor, PAGE_LEN_MAX, Settings};

fn fleet(count: u16) -> (Rig, Vec<String>) {
    let mut rig = Rig::new(Settings::default());
    let register =
        |n| rig.register(peer_at(1, 1000 + n), &format!("ep=dev-{n:04}&lt=60&lwm2m=1.1"));
    let locations = (0..count).map(register).collect();
    (rig, locations)
}

fn walk(rig: &Rig, max: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = rig.server.list(rig.now, after, max);
        assert!(page.rows.len() <= max.min(PAGE_LEN_MAX));
        names.extend(page.rows.iter().map(|row| row.device.endpoint.to_string()));
        match page.next {
            Some(next) => after = Some(next),
            None => return names,
        }
    }
}

#[test]
fn every_device_is_on_one_page() {
    let (rig, _) = fleet(600);
    for max in [1, 7, 256, 10_000] {
        let mut names = walk(&rig, max);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 600);
    }
}

#[test]
fn devices_that_leave_leave_no_holes() {
    let (mut rig, locations) = fleet(600);
    for (n, location) in locations.iter().enumerate().filter(|(n, _)| n % 3 != 0) {
        let delete = Msg::request(Code::DELETE, 5000, location);
        rig.ask(peer_at(1, 1000 + n as u16), &delete);
    }
    assert_eq!(walk(&rig, 100).len(), 200);
}

#[test]
fn any_cursor_is_harmless() {
    let (rig, _) = fleet(3);
    for number in [0, 2, 3, 4, u32::MAX] {
        let page = rig.server.list(rig.now, Some(Cursor::from_number(number)), 10);
        assert!(page.rows.len() <= 3);
    }
}

#[test]
fn a_row_says_how_the_device_is() {
    let (mut rig, _) = Rig::registered(Settings::default());
    rig.observed(0);
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    rig.secs(10);
    let row = rig.server.lookup(rig.now, "dev").unwrap();
    assert_eq!(row.lifetime_left.as_secs(), 3590);
    assert_eq!((row.registered_ago.as_secs(), row.heard_ago.as_secs()), (10, 10));
    assert_eq!((row.observations, row.commands_in_flight, row.commands_waiting), (1, 1, 1));
    assert!(rig.server.lookup(rig.now, "other").is_none());
}

#[test]
fn the_registrations_of_a_listener_end_page_by_page_and_the_others_stay() {
    let mut rig = Rig::new(Settings::default());
    for n in 0..600 {
        let at = Peer::new(n % 2, [127, 0, 0, 1].into(), ([192, 0, 2, 1], 1000 + n).into());
        rig.register(at, &format!("ep=dev-{n:04}&lt=60&lwm2m=1.1"));
    }
    rig.events.clear();
    let (mut after, mut pages) = (None, 0);
    loop {
        after = rig.server.kick_listener(rig.now, 1, after);
        rig.settle();
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, rig.server.registrations(), rig.server.stats().kicked), (3, 300, 300));
    assert!(rig.take_names().iter().all(|name| *name == "kicked"));
    let left = rig.server.list(rig.now, None, 1).rows;
    assert_eq!(left[0].device.peer.listener(), 0);
}
