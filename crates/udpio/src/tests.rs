//! Real sockets on loopback, ports chosen by the system.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::{Poller, Probe, RecvBatch, SendBatch, Socket, SocketOptions, Token, bind, bind_group};

fn any_port(addr: &str) -> Socket {
    bind(addr.parse().unwrap(), &SocketOptions::default()).unwrap()
}

fn loopback(socket: &Socket) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), socket.local_addr().port())
}

fn wait_for(socket: &Socket, batch: &mut RecvBatch) -> usize {
    let poller = Poller::new().unwrap();
    poller.add(socket, Token(0)).unwrap();
    let mut ready = Vec::new();
    poller.wait(Some(Duration::from_secs(5)), &mut ready).unwrap();
    assert_eq!(ready, [Token(0)], "nothing arrived");
    batch.recv(socket).unwrap()
}

#[test]
fn a_batch_arrives_with_its_addresses_and_bytes() {
    let server = any_port("0.0.0.0:0");
    let client = any_port("0.0.0.0:0");
    let mut send = SendBatch::new();
    for n in 0..100u8 {
        let source = IpAddr::from([127, 1, 2, n]);
        send.push(loopback(&server), Some(source), &vec![n; usize::from(n) * 10]);
    }
    let report = send.flush(&client);
    assert_eq!((report.sent, report.refused, report.dropped), (100, 0, 0));
    assert!(send.is_empty());

    let mut batch = RecvBatch::new(32);
    let mut seen = 0u8;
    while seen < 100 {
        assert!(wait_for(&server, &mut batch) <= 32);
        for datagram in batch.iter() {
            assert_eq!(datagram.remote.ip(), IpAddr::from([127, 1, 2, seen]));
            assert_eq!(datagram.remote.port(), client.local_addr().port());
            assert_eq!(datagram.local, IpAddr::V4(Ipv4Addr::LOCALHOST));
            assert_eq!(datagram.bytes, vec![seen; usize::from(seen) * 10]);
            seen += 1;
        }
    }
    assert_eq!(batch.recv(&server).unwrap(), 0);
}

#[test]
fn the_answer_leaves_from_the_address_that_was_asked() {
    let server = any_port("0.0.0.0:0");
    let client = any_port("127.0.0.1:0");
    let asked = SocketAddr::from(([127, 9, 9, 9], server.local_addr().port()));
    let mut send = SendBatch::new();
    send.push(asked, None, b"ping");
    assert_eq!(send.flush(&client).sent, 1);

    let mut batch = RecvBatch::new(4);
    assert_eq!(wait_for(&server, &mut batch), 1);
    let request = batch.iter().next().unwrap();
    assert_eq!(request.local, IpAddr::from([127, 9, 9, 9]));
    send.buffer().extend_from_slice(b"pong");
    send.seal(request.remote, Some(request.local));
    assert_eq!(send.flush(&server).sent, 1);

    assert_eq!(wait_for(&client, &mut batch), 1);
    let answer = batch.iter().next().unwrap();
    assert_eq!((answer.remote, answer.bytes), (asked, &b"pong"[..]));
}

#[test]
fn a_dual_stack_socket_serves_both_families_and_shows_plain_ipv4() {
    let server = any_port("[::]:0");
    let port = server.local_addr().port();
    for (client, target) in [
        (any_port("127.0.0.1:0"), SocketAddr::from(([127, 0, 0, 1], port))),
        (any_port("[::1]:0"), SocketAddr::new("::1".parse().unwrap(), port)),
    ] {
        let mut send = SendBatch::new();
        send.push(target, None, b"x");
        assert_eq!(send.flush(&client).sent, 1);
        let mut batch = RecvBatch::new(4);
        assert_eq!(wait_for(&server, &mut batch), 1);
        let got = batch.iter().next().unwrap();
        assert_eq!((got.remote, got.local), (client.local_addr(), target.ip()));
        send.push(got.remote, Some(got.local), b"y");
        assert_eq!(send.flush(&server).sent, 1);
        assert_eq!(wait_for(&client, &mut batch), 1);
        assert_eq!(batch.iter().next().unwrap().remote, target);
    }
}

#[test]
fn a_port_in_use_is_named_although_the_group_would_share_it() {
    let options = SocketOptions::default();
    let first = bind_group("127.0.0.1:0".parse().unwrap(), 2, &options, Probe::Others).unwrap();
    let taken = first[0].local_addr();
    assert_eq!(first[1].local_addr(), taken);
    let error = bind_group(taken, 2, &options, Probe::Others).unwrap_err();
    assert!(error.is_in_use());
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn a_group_takes_over_the_port_of_one_that_is_about_to_go() {
    let options = SocketOptions::default();
    let old = bind_group("127.0.0.1:0".parse().unwrap(), 1, &options, Probe::Others).unwrap();
    let port = old[0].local_addr().port();
    let wider = SocketAddr::from(([0, 0, 0, 0], port));
    let new = bind_group(wider, 2, &options, Probe::Skip).unwrap();
    assert_eq!((new.len(), new[1].local_addr()), (2, wider));
    // Somebody who shares the port with nobody is still in the way.
    let alone = any_port("127.0.0.1:0");
    assert!(bind_group(alone.local_addr(), 1, &options, Probe::Skip).unwrap_err().is_in_use());
}

#[test]
fn whoever_reuses_an_address_shares_it_and_a_socket_learns_it_later() {
    let reuse = SocketOptions { reuse_address: true, ..SocketOptions::default() };
    let first = any_port("127.0.0.1:0");
    let taken = first.local_addr();
    assert!(bind(taken, &reuse).is_err());
    first.adjust(&reuse).unwrap();
    assert_eq!(bind(taken, &reuse).unwrap().local_addr(), taken);
    assert!(bind(taken, &SocketOptions::default()).is_err());
}

#[test]
fn another_thread_adds_sockets_to_a_poller() {
    let poller = Poller::new().unwrap();
    let registrar = poller.registrar();
    let (server, client) = (any_port("127.0.0.1:0"), any_port("127.0.0.1:0"));
    let server = std::thread::spawn(move || {
        registrar.add(&server, Token(7)).unwrap();
        server
    });
    let server = server.join().unwrap();
    let mut send = SendBatch::new();
    send.push(loopback(&server), None, b"x");
    send.flush(&client);
    let mut ready = Vec::new();
    poller.prepare();
    poller.wait(Some(Duration::from_secs(5)), &mut ready).unwrap();
    assert_eq!(ready, [Token(7)]);
}

#[test]
fn one_refused_datagram_does_not_hold_up_the_others() {
    let server = any_port("127.0.0.1:0");
    let client = any_port("127.0.0.1:0");
    let mut send = SendBatch::new();
    send.push(loopback(&server), None, b"before");
    // An IPv6 destination on an IPv4 socket is refused by the kernel.
    send.push("[2001:db8::1]:5683".parse().unwrap(), None, b"lost");
    send.push(loopback(&server), None, b"after");
    let report = send.flush(&client);
    assert_eq!((report.sent, report.refused, report.dropped), (2, 1, 0));
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let options = SocketOptions { recv_buffer: Some(4096), ..SocketOptions::default() };
    let server = bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let client = any_port("127.0.0.1:0");
    let mut send = SendBatch::new();
    for _ in 0..500 {
        send.push(loopback(&server), None, &[0; 200]);
    }
    send.flush(&client);
    let mut batch = RecvBatch::new(1024);
    let first = wait_for(&server, &mut batch);
    assert!(first < 500);
    // The counter travels with the next datagram that gets through.
    send.push(loopback(&server), None, b"next");
    send.flush(&client);
    assert_eq!(wait_for(&server, &mut batch), 1);
    assert_eq!(batch.kernel_dropped(), Some(500 - first as u32));
}

#[test]
fn a_waker_ends_a_wait_and_is_not_lost_before_one() {
    let poller = Poller::new().unwrap();
    let waker = poller.waker();
    let mut ready = Vec::new();
    poller.prepare();
    waker.wake();
    poller.wait(None, &mut ready).unwrap();
    assert!(ready.is_empty());

    poller.prepare();
    let thread = std::thread::spawn(move || waker.wake());
    poller.wait(None, &mut ready).unwrap();
    thread.join().unwrap();
}
