//! Two endpoints in one thread: one asks for `/hello`, the other answers. The datagrams would
//! travel by UDP; here they are handed over.
//!
//! `cargo run -p coap --example hello`

use coap::{
    Code, Endpoint, EndpointConfig, Event, Instant, Peer, Request, RequestOptions, Response,
};

fn main() {
    let mut client = Endpoint::new(EndpointConfig::default(), 0, [1; 32]);
    let mut server = Endpoint::new(EndpointConfig::default(), 0, [2; 32]);
    let to_server = Peer::new(0, [10, 0, 0, 1].into(), ([10, 0, 0, 2], 5683).into());
    let to_client = Peer::new(0, [10, 0, 0, 2].into(), ([10, 0, 0, 1], 49_152).into());
    let now = Instant::from_micros(0);

    let mut request = Request::new(Code::GET);
    request.options.uri_path("hello");
    client.request(now, to_server, request, RequestOptions::default());

    let mut datagram = Vec::new();
    while client.poll_transmit(&mut datagram).is_some() {
        if let Some(Event::Request { reply_to, .. }) =
            server.handle_datagram(now, to_client, &datagram)
        {
            let payload = b"world".to_vec();
            server.respond(now, &reply_to, Response { payload, ..Response::new(Code::CONTENT) });
        }
        datagram.clear();
    }
    while server.poll_transmit(&mut datagram).is_some() {
        if let Some(Event::Response { response, .. }) =
            client.handle_datagram(now, to_server, &datagram)
        {
            println!("{} {}", response.code, String::from_utf8_lossy(&response.payload));
        }
        datagram.clear();
    }
}
