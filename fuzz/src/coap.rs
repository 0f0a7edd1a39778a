//! Targets of the message layer: one datagram, and a whole conversation of an endpoint.

use coap::{
    Code, Completion, Duration, Endpoint, EndpointConfig, Event, ExchangeId, Instant, Message,
    ObservationId, OptionList, OptionNumber, Peer, Reliability, ReplyTo, Request, RequestOptions,
    Response, Type,
};

use crate::input::Input;

/// One datagram. What is taken is written and read back the same.
pub fn coap_message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    let mut list = OptionList::new();
    for (number, value) in &message.options {
        assert!(value.len() <= data.len());
        list.push(number, value);
    }
    let options = &message.options;
    let segments = options.uri_path().chain(options.uri_query()).chain(options.location_path());
    assert!(segments.count() <= data.len());
    let _ = (options.content_format(), options.accept(), options.observe(), options.max_age());
    let _ = (options.etag(), options.size1(), options.first(OptionNumber::BLOCK1));
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(out, data, "the parts are the whole");
    out.clear();
    Message { options: list.into_options(), ..message.clone() }.encode(&mut out);
    assert!(out.len() <= data.len(), "there is no shorter way to write options");
    let again = Message::parse(&out).expect("what we write can be read");
    assert_eq!(again.payload, message.payload);
    assert!(again.options.iter().eq(message.options.iter()));
}

/// A conversation: datagrams, answers, calls and time, step by step.
///
/// Each step is a byte that says what, and its data. Every exchange must end exactly once, what is
/// sent must be small beside what was said, and in the end nothing may be left.
pub fn coap_endpoint(data: &[u8]) {
    let mut talk = Talk::new();
    let mut input = Input::new(data);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        talk.step(&mut input);
    }
    talk.finish();
}

/// Enough for every seed; more only repeats.
const STEPS_MAX: usize = 200;

/// Time steps: within an acknowledgement, around the timeouts, beyond every lifetime.
const SPANS_MS: [u64; 8] = [0, 1, 900, 2_500, 10_000, 95_000, 130_000, 300_000];

/// Longer than anything is remembered, and than 200 requests take one after the other.
const EVER: Duration = Duration::from_secs(200 * 125 + 3600);

struct Talk {
    endpoint: Endpoint,
    now: Instant,
    /// The messages that were sent last, newest last.
    sent: Vec<Vec<u8>>,
    bytes_out: usize,
    /// Bytes that were handed in, by datagrams and calls.
    bytes_in: usize,
    open: Vec<ExchangeId>,
    observations: Vec<ObservationId>,
    replies: Vec<ReplyTo>,
}

impl Talk {
    fn new() -> Self {
        let config = EndpointConfig { body_max: 4096, ..EndpointConfig::default() };
        Self {
            endpoint: Endpoint::new(config, 7, [42; 32]),
            now: Instant::from_micros(1),
            sent: Vec::new(),
            bytes_out: 0,
            bytes_in: 0,
            open: Vec::new(),
            observations: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let peer = peer(what >> 6);
        match what & 0x0f {
            0..=4 => self.hear(peer, input.counted()),
            5..=8 => self.hear_answer(peer, input),
            9 => self.call(peer, input),
            10 => self.respond(input),
            11 => self.complete(input),
            12 => self.observe(peer, input),
            13 => self.forget(input),
            14 => self.endpoint.peer_unproven(peer),
            _ => self.wait(Duration::from_millis(input.choose(&SPANS_MS))),
        }
        self.settle();
    }

    fn hear(&mut self, peer: Peer, datagram: &[u8]) {
        self.bytes_in += datagram.len();
        let event = self.endpoint.handle_datagram(self.now, peer, datagram);
        if let Some(event) = event {
            self.take(event);
        }
    }

    /// A datagram with the token and message id of one that was sent, which no fuzzer would guess.
    fn hear_answer(&mut self, peer: Peer, input: &mut Input<'_>) {
        let back = usize::from(input.byte() % 4);
        let (first, code) = (input.byte(), input.byte());
        let rest = input.counted();
        let Some(sent) = self.sent.iter().rev().nth(back) else { return };
        let Ok(asked) = Message::parse(sent) else { return };
        let (token, id) = (asked.token, asked.id.value());
        let kind = Type::from_bits(first);
        let own = matches!(kind, Type::Confirmable | Type::NonConfirmable);
        let id = if own { id ^ u16::from(first) << 8 } else { id };
        let mut datagram = vec![0x40 | kind.bits() << 4 | token.len() as u8, code];
        datagram.extend_from_slice(&id.to_be_bytes());
        datagram.extend_from_slice(token.as_bytes());
        datagram.extend_from_slice(rest);
        self.hear(peer, &datagram);
    }

    fn call(&mut self, peer: Peer, input: &mut Input<'_>) {
        let request = self.request_of(input);
        let options = options_of(input);
        let exchange = self.endpoint.request(self.now, peer, request, options);
        self.open.push(exchange);
    }

    fn observe(&mut self, peer: Peer, input: &mut Input<'_>) {
        let request = Request { code: Code::GET, ..self.request_of(input) };
        let options = options_of(input);
        let choice = input.byte();
        let known = self.observations.get(usize::from(choice >> 2)).copied();
        let exchange = match (choice & 3, known) {
            (1, Some(known)) => self.endpoint.reobserve(self.now, peer, known, request, options),
            (2, Some(known)) => {
                self.endpoint.cancel_observe(self.now, peer, known, request, options)
            }
            _ => {
                let (exchange, observation) =
                    self.endpoint.observe(self.now, peer, request, options);
                self.observations.push(observation);
                exchange
            }
        };
        self.open.push(exchange);
    }

    fn request_of(&mut self, input: &mut Input<'_>) -> Request {
        let mut request = Request::new(input.choose(&[Code::GET, Code::PUT, Code::POST]));
        request.options.uri_path("3");
        // Up to 16 KiB, so that it leaves in blocks.
        request.payload = vec![b'x'; usize::from(input.byte()) * 64];
        self.bytes_in += request.payload.len() + 32;
        request
    }

    fn respond(&mut self, input: &mut Input<'_>) {
        let code = Code::from_byte(input.choose(&[0x41, 0x44, 0x45, 0x80, 0x84, 0xa0]));
        let payload = vec![b'y'; usize::from(input.byte()) * 64];
        self.bytes_in += payload.len() + 32;
        if let Some(reply_to) = self.replies.pop() {
            let response = Response { payload, ..Response::new(code) };
            self.endpoint.respond(self.now, &reply_to, response);
        }
    }

    fn complete(&mut self, input: &mut Input<'_>) {
        let completion =
            input.choose(&[Completion::Accept, Completion::Reject, Completion::Refuse]);
        if let Some(reply_to) = self.replies.pop() {
            self.endpoint.complete(self.now, &reply_to, completion);
        }
    }

    fn forget(&mut self, input: &mut Input<'_>) {
        let index = usize::from(input.byte());
        if index & 1 == 0 && index / 2 < self.observations.len() {
            self.endpoint.forget_observation(self.observations.swap_remove(index / 2));
        } else if index & 1 == 1 && index / 2 < self.open.len() {
            self.endpoint.cancel(self.open.swap_remove(index / 2));
        }
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        // Each timer that is due moves the deadline on; one that does not would spin for ever.
        for _ in 0..TIMEOUTS_MAX {
            match self.endpoint.poll_timeout() {
                Some(at) if at <= end => self.now = self.now.max(at) + Duration::from_micros(1),
                _ => {
                    self.now = end;
                    self.endpoint.handle_timeout(end);
                    return self.settle();
                }
            }
            self.endpoint.handle_timeout(self.now);
            self.settle();
        }
        panic!("the timers never rest");
    }

    fn settle(&mut self) {
        let mut out = Vec::new();
        while self.endpoint.poll_transmit(&mut out).is_some() {
            assert!(out.len() <= DATAGRAM_MAX, "{} bytes in one datagram", out.len());
            assert!(Message::parse(&out).is_ok(), "{out:02x?}");
            self.bytes_out += out.len();
            self.sent.push(core::mem::take(&mut out));
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.take(event);
        }
        if self.sent.len() > 8 {
            self.sent.drain(..self.sent.len() - 8);
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Request { reply_to, request, .. } => {
                assert!(request.payload.len() <= 4096.max(self.bytes_in));
                self.replies.push(reply_to);
            }
            Event::Notification { reply_to, .. } => self.replies.push(reply_to),
            Event::Response { exchange, .. }
            | Event::Reset { exchange }
            | Event::TimedOut { exchange, .. }
            | Event::Failed { exchange, .. } => self.end(exchange),
            Event::Acked { exchange } => {
                assert!(self.open.contains(&exchange), "acknowledged behind its end");
            }
            Event::Noted(_) => {}
        }
    }

    fn end(&mut self, exchange: ExchangeId) {
        let place = self.open.iter().position(|open| *open == exchange);
        let place = place.expect("an exchange ends once");
        self.open.swap_remove(place);
    }

    fn finish(mut self) {
        self.wait(EVER);
        assert!(self.open.is_empty(), "an exchange never ended: {:?}", self.open);
        // A block of ours may be asked for again and again, by requests of about ten bytes.
        let bound = 110 * self.bytes_in + 1024;
        assert!(self.bytes_out <= bound, "{} bytes for {}", self.bytes_out, self.bytes_in);
        for observation in core::mem::take(&mut self.observations) {
            self.endpoint.forget_observation(observation);
        }
        self.wait(EVER);
        let fresh = Self::new().endpoint.usage();
        assert_eq!(self.endpoint.usage(), fresh, "something is left");
    }
}

/// All that 200 steps can schedule, many times over.
const TIMEOUTS_MAX: usize = 100_000;

/// A block of 1024 bytes, and options that stand in the input.
const DATAGRAM_MAX: usize = 1024 + 512;

fn options_of(input: &mut Input<'_>) -> RequestOptions {
    let bits = input.byte();
    RequestOptions {
        deadline_after: (bits & 1 == 1).then(|| Duration::from_secs(u64::from(bits >> 2))),
        urgent: bits & 2 == 2,
        reliability: if bits & 0x80 == 0 {
            Reliability::Confirmable
        } else {
            Reliability::NonConfirmable
        },
    }
}

fn peer(number: u8) -> Peer {
    let remote = ([192, 0, 2, number], 5683).into();
    Peer::new(0, [127, 0, 0, 1].into(), remote)
}
