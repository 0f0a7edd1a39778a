//! Protocol facts that need nothing but datagrams and the public entry points.

use coap::{
    Code, Completion, Duration, Endpoint, EndpointConfig, Event, Instant, Message, MessageId,
    ObservationId, OptionList, Peer, Request, RequestOptions, Token, Type,
};

struct Conversation {
    endpoint: Endpoint,
    now: Instant,
    peer: Peer,
    id: u16,
}

impl Conversation {
    fn new() -> Self {
        Self {
            endpoint: Endpoint::new(EndpointConfig::default(), 0, [3; 32]),
            now: Instant::from_micros(1),
            peer: Peer::new(0, [127, 0, 0, 1].into(), ([192, 0, 2, 1], 5683).into()),
            id: 0x7000,
        }
    }

    /// Observes /3303 and answers; the observation and its token.
    fn observing(&mut self) -> (ObservationId, Token) {
        let request = Request::new(Code::GET);
        let options = RequestOptions::default();
        let (_, observation) = self.endpoint.observe(self.now, self.peer, request, options);
        let (kind, id, token) = self.sent().expect("the request");
        assert_eq!(kind, Type::Confirmable);
        let answer = self.says(Type::Acknowledgement, id, token, 1);
        assert!(matches!(answer, Some(Event::Response { .. })));
        (observation, token)
    }

    fn says(
        &mut self,
        kind: Type,
        id: MessageId,
        token: Token,
        observe: u32,
    ) -> Option<Event<'static>> {
        let mut options = OptionList::new();
        options.observe(observe);
        let options = options.into_options();
        let mut datagram = Vec::new();
        Message { kind, code: Code::CONTENT, id, token, options, payload: b"1" }
            .encode(&mut datagram);
        match self.endpoint.handle_datagram(self.now, self.peer, &datagram)? {
            Event::Response { exchange, peer, response } => {
                Some(Event::Response { exchange, peer, response: response.into_owned() })
            }
            Event::Notification { observation, peer, reply_to, response, freshness } => {
                let response = response.into_owned();
                Some(Event::Notification { observation, peer, reply_to, response, freshness })
            }
            _ => None, // The others are notes here.
        }
    }

    /// A confirmable notification; what comes up, and how it is answered.
    fn notifies(&mut self, token: Token, observe: u32) -> (Option<Event<'static>>, Option<Type>) {
        self.id += 1;
        let id = MessageId::new(self.id);
        let event = self.says(Type::Confirmable, id, token, observe);
        if let Some(Event::Notification { reply_to, .. }) = &event {
            self.endpoint.complete(self.now, reply_to, Completion::Accept);
        }
        let answer = self.sent().map(|(kind, found, _)| {
            assert_eq!(found, id);
            kind
        });
        (event, answer)
    }

    fn sent(&mut self) -> Option<(Type, MessageId, Token)> {
        let mut out = Vec::new();
        self.endpoint.poll_transmit(&mut out)?;
        let message = Message::parse(&out).expect("a message");
        Some((message.kind, message.id, message.token))
    }
}

/// Fact 33: a passive cancel is Reset to the next notification, and to those after it, because a
/// Reset may be lost; also a day later, and when another observation has been made since.
#[test]
fn a_forgotten_observation_is_rejected_for_ever() {
    let mut talk = Conversation::new();
    let (observation, token) = talk.observing();
    let (event, answer) = talk.notifies(token, 2);
    assert!(matches!(event, Some(Event::Notification { .. })));
    assert_eq!(answer, Some(Type::Acknowledgement));
    talk.endpoint.forget_observation(observation);
    for (number, wait) in [(3, 0), (4, 60), (5, 86_400)] {
        talk.now += Duration::from_secs(wait);
        talk.endpoint.handle_timeout(talk.now);
        assert!(matches!(talk.notifies(token, number), (None, Some(Type::Reset))));
    }
    let (_, other) = talk.observing();
    assert_ne!(other, token);
    assert!(matches!(talk.notifies(token, 6), (None, Some(Type::Reset))));
    let (event, answer) = talk.notifies(other, 2);
    assert!(matches!(event, Some(Event::Notification { .. })));
    assert_eq!(answer, Some(Type::Acknowledgement));
}

/// Fact 27: the tokens of a server that starts anew with another seed match nothing of the one
/// before, so that late notifications of old observations cannot reach new ones.
#[test]
fn a_restarted_endpoint_knows_no_old_token() {
    let mut before = Conversation::new();
    let (_, old) = before.observing();
    let mut after = Conversation::new();
    after.endpoint = Endpoint::new(EndpointConfig::default(), 0, [4; 32]);
    let (_, new) = after.observing();
    assert_ne!(new, old);
    assert!(matches!(after.notifies(old, 9), (None, Some(Type::Reset))));
}
