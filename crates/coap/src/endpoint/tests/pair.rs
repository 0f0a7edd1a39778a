//! Two endpoints over a link that loses, repeats and reorders, on a virtual clock. A run is decided
//! by its seed, which is part of every failure.

use alloc::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::super::*;
use super::script::body;
use crate::time::Duration;
use crate::{
    Completion, ExchangeId, OptionNumber, Reliability, ReplyTo, Request, RequestOptions, Response,
    Token, TransmissionParams,
};

/// How bad the link is, in percent.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: u32,
    repeat: u32,
    delay_max_millis: u32,
}

const STORM: Weather = Weather { loss: 20, repeat: 15, delay_max_millis: 1_500 };
const FAIR: Weather = Weather { loss: 0, repeat: 0, delay_max_millis: 20 };

/// The two ends: 0 asks, 1 answers and notifies.
struct Pair {
    ends: [Endpoint; 2],
    now: Instant,
    weather: Weather,
    chance: ChaCha8Rng,
    /// Datagrams on their way by arrival; the number keeps them apart.
    link: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// How often each request was run, by its number.
    runs: BTreeMap<u64, u32>,
    /// Requests that are answered late.
    slow: Vec<(Instant, ReplyTo, u64)>,
    observer: Option<Token>,
    finals: Vec<Event<'static>>,
    notified: Vec<u32>,
    outcomes: BTreeMap<ExchangeId, &'static str>,
}

/// The address of the other end, as `end` sees it.
fn other(end: usize) -> Peer {
    Peer::new(0, [10, 0, 0, end as u8].into(), ([10, 0, 0, 1 - end as u8], 5683).into())
}

impl Pair {
    fn new(seed: u8, weather: Weather, config: &EndpointConfig) -> Self {
        let end = |shard| Endpoint::new(config.clone(), shard, [seed ^ shard; 32]);
        Self {
            ends: [end(1), end(2)],
            now: Instant::from_micros(1_000_000_000_000),
            weather,
            chance: ChaCha8Rng::from_seed([seed; 32]),
            link: BTreeMap::new(),
            sent: 0,
            runs: BTreeMap::new(),
            slow: Vec::new(),
            observer: None,
            finals: Vec::new(),
            notified: Vec::new(),
            outcomes: BTreeMap::new(),
        }
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.chance.next_u32() % 100 < chance
    }

    /// Takes what an end sends and decides its fate.
    fn carry(&mut self, end: usize) {
        let mut out = Vec::new();
        while self.ends[end].poll_transmit(&mut out).is_some() {
            let datagram = std::mem::take(&mut out);
            let copies = if self.percent(self.weather.loss) { 0 } else { 1 };
            let copies = copies + u32::from(self.percent(self.weather.repeat));
            for _ in 0..copies {
                let delay = self.chance.next_u32() % self.weather.delay_max_millis + 1;
                let at = self.now + Duration::from_millis(delay.into());
                self.sent += 1;
                self.link.insert((at, self.sent), (1 - end, datagram.clone()));
            }
        }
    }

    /// Everything that happens until then.
    fn run(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            (0..2).for_each(|end| self.carry(end));
            let arrival = self.link.keys().next().map(|(at, _)| *at);
            let late = self.slow.iter().map(|(at, _, _)| *at).min();
            let timers = self.ends.iter_mut().filter_map(|end| end.poll_timeout()).min();
            let next = [arrival, late, timers].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(((at, number), _)) = self.link.first_key_value()
                && *at <= self.now
            {
                let (end, datagram) = self.link.remove(&(*at, *number).clone()).unwrap();
                let event = self.ends[end].handle_datagram(self.now, other(end), &datagram);
                let event = event.map(Event::into_owned);
                self.react(end, event);
            }
            for end in 0..2 {
                self.ends[end].handle_timeout(self.now);
                while let Some(event) = self.ends[end].poll_event() {
                    self.react(end, Some(event));
                }
            }
            self.answer_late();
        }
        self.now = until;
    }

    fn answer_late(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.slow.extract_if(.., |(at, _, _)| *at <= now).collect();
        for (_, reply_to, number) in due {
            self.answer(&reply_to, number, Vec::new());
        }
    }

    fn react(&mut self, end: usize, event: Option<Event<'static>>) {
        match event {
            Some(Event::Request { reply_to, request, .. }) if end == 1 => {
                let number = number_of(&request);
                *self.runs.entry(number).or_default() += 1;
                if request.options.observe() == Some(0) {
                    self.observer = Some(request.token);
                }
                match number % 3 {
                    0 => {
                        let wait = Duration::from_millis(500 + number % 7 * 400);
                        self.slow.push((self.now + wait, reply_to, number));
                    }
                    _ => self.answer(&reply_to, number, request.payload.into_owned()),
                }
            }
            Some(Event::Notification { reply_to, response, .. }) => {
                self.notified.push(response.options.observe().unwrap());
                assert!(response.payload.len() < 64 || response.payload == body(300));
                // Every third is refused the first time.
                let refuse = self.percent(30) && reply_to.is_confirmable();
                let completion = if refuse { Completion::Refuse } else { Completion::Accept };
                if refuse {
                    self.notified.pop();
                }
                self.ends[0].complete(self.now, &reply_to, completion);
            }
            Some(Event::Noted(_)) | None => {}
            Some(Event::Acked { exchange }) if end == 1 => {
                self.outcomes.insert(exchange, "acked");
            }
            Some(Event::Acked { .. }) => {}
            Some(Event::TimedOut { exchange, .. }) if end == 1 => {
                self.outcomes.insert(exchange, "timed out");
            }
            Some(event) => self.finals.push(event),
        }
    }

    fn answer(&mut self, reply_to: &ReplyTo, number: u64, payload: Vec<u8>) {
        let mut response = Response { payload, ..Response::new(Code::CONTENT) };
        response.options.push_uint(OptionNumber::MAX_AGE, number);
        if self.observer.is_some() {
            response.options.observe(1);
        }
        self.ends[1].respond(self.now, reply_to, response);
    }

    fn request(&mut self, number: u64, payload: Vec<u8>) -> ExchangeId {
        let mut request = Request { payload, ..Request::new(Code::POST) };
        request.options.uri_path(&number.to_string());
        let options = RequestOptions::default();
        self.ends[0].request(self.now, other(0), request, options)
    }

    fn assert_idle(&self, seed: u8) {
        for end in &self.ends {
            let usage = end.usage();
            let held = (usage.exchanges, usage.transfer_bytes, usage.peers, usage.timers);
            assert_eq!(held, (0, 0, 0, 0), "seed {seed}");
            assert_eq!(usage.remembered_requests, 0, "seed {seed}");
        }
    }
}

fn number_of(request: &crate::Incoming<'_>) -> u64 {
    let segment = request.options.uri_path().next().unwrap_or_default();
    String::from_utf8_lossy(segment).parse().unwrap_or_default()
}

/// Requests are run at most once and end in exactly one event, whatever the link does.
#[test]
fn requests_over_a_bad_link() {
    let config = EndpointConfig::default();
    for seed in 0..20 {
        let mut pair = Pair::new(seed, STORM, &config);
        let asked: Vec<_> = (0..50)
            .map(|number| {
                pair.run(Duration::from_millis(700));
                pair.request(number, Vec::new())
            })
            .collect();
        pair.run(Duration::from_secs(5_000));
        assert!(pair.runs.values().all(|runs| *runs == 1), "seed {seed}: {:?}", pair.runs);
        let mut ended = BTreeMap::new();
        for event in &pair.finals {
            let (exchange, answered) = match event {
                Event::Response { exchange, response, .. } => {
                    let number = response.options.max_age().unwrap();
                    let place = asked.iter().position(|asked| asked == exchange).unwrap();
                    assert_eq!(number as usize, place, "seed {seed}: the answer to another");
                    (exchange, true)
                }
                Event::TimedOut { exchange, .. } => (exchange, false),
                other => panic!("seed {seed}: {other:?}"),
            };
            assert!(ended.insert(exchange, answered).is_none(), "seed {seed}: ended twice");
        }
        assert_eq!(ended.len(), asked.len(), "seed {seed}");
        let answered = ended.values().filter(|answered| **answered).count();
        assert!(answered >= 45, "seed {seed}: only {answered} of 50 were answered");
        pair.assert_idle(seed);
    }
}

/// Bodies arrive whole in both directions, or not at all.
#[test]
fn bodies_over_a_bad_link() {
    for (seed, size) in (0..12).zip([16, 64, 512, 1024].into_iter().cycle()) {
        let config = EndpointConfig { block_size_max: size, ..EndpointConfig::default() };
        let mild = Weather { loss: 8, ..STORM };
        let mut pair = Pair::new(seed, mild, &config);
        let whole = body(usize::from(size) * 9 + 5);
        pair.request(1, whole.clone());
        pair.run(Duration::from_secs(5_000));
        match pair.finals.as_slice() {
            [Event::Response { response, .. }] => {
                assert_eq!(response.payload, whole, "seed {seed}");
            }
            other => panic!("seed {seed}: {other:?}"),
        }
        assert_eq!(pair.runs.get(&1), Some(&1), "seed {seed}");
        pair.assert_idle(seed);
    }
}

/// What the observed end knows to be acknowledged came up, and nothing came up twice.
#[test]
fn notifications_over_a_bad_link() {
    let config = EndpointConfig { block_size_max: 64, ..EndpointConfig::default() };
    for seed in 0..10 {
        let mut pair = Pair::new(seed, STORM, &config);
        let mut request = Request::new(Code::GET);
        request.options.uri_path("1");
        let options = RequestOptions::default();
        let (_, observation) = pair.ends[0].observe(pair.now, other(0), request, options);
        pair.run(Duration::from_secs(200));
        let token = pair.observer.expect("seed: the observe never arrived");
        let mut sent = BTreeMap::new();
        for number in 2..40u32 {
            let mut response = Response { payload: body(20), ..Response::new(Code::CONTENT) };
            response.options.observe(number);
            let reliability = match number % 2 {
                0 => Reliability::Confirmable,
                _ => Reliability::NonConfirmable,
            };
            let to = other(1);
            let exchange = pair.ends[1].notify(pair.now, to, token, response, reliability);
            sent.insert(exchange, number);
            pair.run(Duration::from_secs(30));
        }
        pair.run(Duration::from_secs(300));
        let mut seen = pair.notified.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), pair.notified.len(), "seed {seed}: one came up twice");
        for (exchange, outcome) in &pair.outcomes {
            if *outcome == "acked" {
                assert!(seen.contains(&sent[exchange]), "seed {seed}: acknowledged and lost");
            }
        }
        assert!(seen.len() > 25, "seed {seed}: {seen:?}");
        pair.ends[0].forget_observation(observation);
        pair.run(Duration::from_secs(1_000));
        pair.assert_idle(seed);
    }
}

/// A table of what the weather does to a hundred requests: the outcome may only change on purpose.
#[test]
fn nothing_is_lost_in_fair_weather() {
    let params = TransmissionParams { nstart: 4, ..TransmissionParams::default() };
    let config = EndpointConfig { params, ..EndpointConfig::default() };
    let mut pair = Pair::new(1, FAIR, &config);
    for number in 0..100 {
        pair.request(number, Vec::new());
    }
    pair.run(Duration::from_secs(1_500));
    assert_eq!(pair.finals.len(), 100);
    assert!(pair.finals.iter().all(|event| matches!(event, Event::Response { .. })));
    assert_eq!(pair.ends[0].stats().retransmissions, 0);
    assert_eq!(pair.ends[1].stats().duplicates, 0);
    pair.assert_idle(1);
}
