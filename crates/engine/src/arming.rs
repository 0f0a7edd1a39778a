//! Observations that the engine sets up by itself after a Register: OMA Core 6.2.1, 6.4.1.
//!
//! A Register ends every observation, at both ends (fact 9). What commands had asked for is set up
//! again under the new registration, with new tokens; so is what [`crate::AutoObserve`] wants. One
//! observe is under way at a time, behind the commands that wait, and nothing leaves that would not
//! leave for a command: [`crate::commands`] decides when a device may be sent something. What is
//! chosen without being asked is in [`selection`], the plan of one device in [`plan`].

pub(crate) mod plan;
mod selection;

use std::collections::VecDeque;
use std::sync::Arc;

use coap::{Duration, ExchangeId, Incoming, Instant, RequestOptions};
use lwm2m::Path;
use lwm2m::model::ModelView;

use crate::command::{Answer, CommandError};
use crate::event::{Arrival, Event, ObserveCause, Observed, Presence};
use crate::formats;
use crate::interface::management::{self, Prepared};
use crate::note::NoteKind;
use crate::observations::{Observation, Target};
use crate::queue::{Observing, Sleep};
use crate::registry::{Key, Registration};
use crate::server::{Intake, Server};
use crate::settings::{Profile, Rearm};
use plan::{Asking, Plan, Unanswered, Wanted};
use selection::Chosen;

/// How far apart EMQX 4.x sends its observes.
const PACE_OF_EMQX4: Duration = Duration::from_millis(100);

/// How long EMQX 4.x waits after a device's first Register. A device in queue mode is not made to
/// wait: it may be asleep by then.
const DELAY_OF_EMQX4: Duration = Duration::from_secs(2);

/// How long observes wait while the way up is full: the values that they bring would be lost.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Whether an observe that could leave was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutOff {
    No,
    Yes,
}

impl Server {
    /// What commands have asked for under this registration, to be observed under the next one. An
    /// observe in flight is not among it: its command ends with the registration, and says so.
    pub(crate) fn observed_for_commands(&mut self, key: Key) -> VecDeque<Wanted> {
        if self.settings.rearm == Rearm::Off {
            return VecDeque::new();
        }
        let Some(registration) = self.registry.get(key) else { return VecDeque::new() };
        let queue = registration.queue.as_deref();
        let is_new = |id| queue.is_some_and(|queue| queue.is_asking_for(id));
        let mut wanted: VecDeque<Wanted> = VecDeque::new();
        for observation in self.observations.chain(registration.observations) {
            if !is_new(observation.id)
                && observation.origin != self.settings.auto_observe_origin
                && let Some(request) = self.coap.observed_request(observation.id)
            {
                let request = Prepared::of_observation(&observation.target, request);
                let origin = observation.origin.clone();
                // Chains begin with the newest; the order is that of the commands.
                wanted.push_front(Wanted::new(request, origin, ObserveCause::Rearmed));
            }
        }
        if let Some(plan) = self.disarm(key) {
            wanted.extend(plan.into_rearmed());
        }
        wanted
    }

    /// Plans what is observed under a new registration.
    pub(crate) fn arm(
        &mut self,
        now: Instant,
        key: Key,
        arrival: Arrival,
        wanted: VecDeque<Wanted>,
    ) {
        let automatic = match (self.settings.rearm, self.settings.profile, arrival) {
            (Rearm::Off, Profile::Emqx5, Arrival::Replacing) => VecDeque::new(),
            _ => self.automatic_paths(key),
        };
        if wanted.is_empty() && automatic.is_empty() {
            return;
        }
        let delay = self.first_delay(key, arrival);
        if let Some(registration) = self.registry.get_mut(key) {
            let queue = registration.queue.get_or_insert_default();
            queue.plan = Some(Box::new(Plan::new(wanted, automatic, now, delay)));
        }
    }

    /// Adds what another shard has handed over.
    pub(crate) fn arm_also(&mut self, now: Instant, key: Key, wanted: VecDeque<Wanted>) {
        if wanted.is_empty() {
            return;
        }
        let Some(registration) = self.registry.get_mut(key) else { return };
        let queue = registration.queue.get_or_insert_default();
        match &mut queue.plan {
            Some(plan) => plan.add(wanted),
            None => {
                let plan = Plan::new(wanted, VecDeque::new(), now, Duration::ZERO);
                queue.plan = Some(Box::new(plan));
            }
        }
    }

    /// Drops the plan of a registration; what is in flight of it is not waited for any more.
    pub(crate) fn disarm(&mut self, key: Key) -> Option<Plan> {
        let queue = self.registry.get_mut(key)?.queue.as_deref_mut()?;
        let plan = queue.plan.take()?;
        if let Some(asking) = plan.asking() {
            self.coap.cancel(asking.exchange);
            self.exchanges.remove(&asking.exchange);
            self.forget_observation(key, asking.observation);
        }
        Some(*plan)
    }

    /// Nobody wants these paths any more: they were to be observed, and are cancelled.
    pub(crate) fn forget_wanted(&mut self, key: Key, target: &Target) {
        let composite = target.composite.as_deref().unwrap_or_default();
        let models = Arc::clone(&self.models);
        let is_it = |request: &Prepared| {
            request.path == target.path && formats::same_paths(&request.payload, composite, &models)
        };
        if let Some(plan) = self.plan_mut(key) {
            plan.drop_if(is_it);
        }
    }

    /// Sends the next observe, if one may leave. The device listens, and no command goes before.
    pub(crate) fn arm_next(&mut self, now: Instant, key: Key) -> PutOff {
        let in_flight_max = self.settings.max_in_flight.max(1);
        let origin = self.settings.auto_observe_origin.clone();
        loop {
            let is_full = self.intake == Intake::Full;
            let queue = self.registry.get_mut(key).and_then(|found| found.queue.as_deref_mut());
            let Some(queue) = queue else { return PutOff::No };
            if queue.outstanding() >= in_flight_max {
                return PutOff::No;
            }
            let Some(plan) = queue.plan.as_deref_mut() else { return PutOff::No };
            plan.on_time(now);
            if is_full && plan.next_payload_len().is_some() {
                plan.hold_until(now + FULL_PAUSE);
                self.schedule(now, key);
                return PutOff::Yes;
            }
            let Some(wanted) = plan.take_next(&origin) else {
                if plan.is_done() {
                    queue.plan = None;
                    self.record(key);
                }
                return PutOff::No;
            };
            if !self.is_observed(key, &wanted) {
                self.ask(now, key, wanted);
                return PutOff::No;
            }
        }
    }

    /// Time has passed: an observe may be due.
    pub(crate) fn on_time(&mut self, now: Instant, key: Key) {
        if let Some(plan) = self.plan_mut(key) {
            plan.on_time(now);
            self.dispatch(now, key);
        }
    }

    /// Takes the observe that an exchange carried, if it was one of the engine's own.
    pub(crate) fn land_asking(&mut self, key: Key, exchange: ExchangeId) -> Option<Asking> {
        let asking = self.plan_mut(key)?.land(exchange)?;
        self.exchanges.remove(&exchange);
        Some(asking)
    }

    /// The device answered an observe of the engine's own.
    pub(crate) fn on_asked(
        &mut self,
        now: Instant,
        key: Key,
        asking: Asking,
        response: Incoming<'_>,
    ) {
        let Asking { observation, wanted, .. } = asking;
        // Without the observation a command has cancelled it meanwhile, and nobody wants to know.
        if self.observations.get(observation).is_some() {
            let observing = Observing::New(observation);
            let sequence = self.on_observe_answer(key, observing, &wanted.origin, &response);
            let answer = management::answer(response, sequence);
            self.tell_observed(key, wanted, Ok(answer));
        }
        self.go_on(now, key);
    }

    /// The device did not answer an observe of the engine's own, or not in a way that is of use.
    pub(crate) fn on_asked_in_vain(
        &mut self,
        now: Instant,
        key: Key,
        asking: Asking,
        error: CommandError,
    ) {
        let Asking { observation, wanted, sleep, .. } = asking;
        self.forget_observation(key, observation);
        let plan = self.plan_mut(key);
        let ended = match (&error, plan) {
            (CommandError::Timeout { .. }, Some(plan)) => match plan.on_silence(wanted, sleep) {
                Unanswered::TriedAgain => None,
                Unanswered::GivenUp(wanted) => Some(wanted),
            },
            (_, _) => Some(wanted), // The device has said no.
        };
        if let Some(wanted) = ended {
            self.tell_observed(key, wanted, Err(error));
        }
        self.go_on(now, key);
    }

    /// Puts a stored plan back.
    pub(crate) fn restore_plan(
        &mut self,
        now: Instant,
        key: Key,
        wanted: VecDeque<Wanted>,
        automatic: VecDeque<Path>,
    ) {
        if wanted.is_empty() && automatic.is_empty() {
            return;
        }
        if let Some(registration) = self.registry.get_mut(key) {
            let plan = Plan::new(wanted, automatic, now, Duration::ZERO);
            registration.queue.get_or_insert_default().plan = Some(Box::new(plan));
        }
    }

    fn plan_mut(&mut self, key: Key) -> Option<&mut Plan> {
        self.registry.get_mut(key)?.queue.as_deref_mut()?.plan.as_deref_mut()
    }

    fn automatic_paths(&mut self, key: Key) -> VecDeque<Path> {
        let links = self.registry.get(key).and_then(|found| found.info.links.clone());
        let Some(links) = links else { return VecDeque::new() };
        let models = ModelView::new(&self.models, links.objects());
        let settings = &self.settings;
        let Chosen { paths, cut } =
            selection::choose(&settings.auto_observe, settings.profile, &links, models);
        if cut {
            self.note_device(key, NoteKind::AutoObserveLimited, b"");
        }
        paths.into()
    }

    fn first_delay(&self, key: Key, arrival: Arrival) -> Duration {
        let presence = self.registry.get(key).map(|found| found.info.presence);
        match (self.settings.profile, arrival, presence) {
            (Profile::Emqx4, Arrival::New, Some(Presence::Always)) => DELAY_OF_EMQX4,
            _ => Duration::ZERO, // The device is there, and known to be.
        }
    }

    /// Whether there is nothing left to be done: a command was faster, or the path was both listed
    /// and asked for. Then what the command wants repeated wins.
    fn is_observed(&mut self, key: Key, wanted: &Wanted) -> bool {
        let target = wanted.request.target(&wanted.request.payload);
        if wanted.cause == ObserveCause::Automatic {
            return !self.observations_of(key, &target).is_empty();
        }
        let head = self.registry.get(key).map(|found| found.observations).unwrap_or_default();
        let Some(id) = self.observations.find(head, &target) else { return false };
        if let Some(observation) = self.observations.get_mut(id)
            && observation.origin == self.settings.auto_observe_origin
        {
            observation.origin = wanted.origin.clone();
        }
        true
    }

    fn ask(&mut self, now: Instant, key: Key, wanted: Wanted) {
        let Some(registration) = self.registry.get(key) else { return };
        let (info, peer) = (Arc::clone(&registration.info), registration.peer);
        let target = wanted.request.target(&wanted.request.payload);
        let request = wanted.request.to_request(&info, wanted.request.payload.clone());
        let options = RequestOptions {
            deadline_after: Some(self.settings.command_timeout),
            ..RequestOptions::default()
        };
        let (exchange, observation) = self.coap.observe(now, peer, request, options);
        let origin = self.share_origin(&wanted.origin);
        // It is there before the answer is: a notification may come first (fact 85).
        self.add_observation(Observation::new(observation, key, target, origin));
        self.exchanges.insert(exchange, key);
        let pace = match self.settings.profile {
            Profile::Emqx4 => PACE_OF_EMQX4,
            Profile::Emqx5 => Duration::ZERO,
        };
        if let Some(plan) = self.plan_mut(key) {
            let asking = Asking { exchange, observation, wanted, sleep: Sleep::None };
            plan.ask(asking, now, pace);
        }
    }

    fn tell_observed(&mut self, key: Key, wanted: Wanted, result: Result<Answer, CommandError>) {
        let Some(device) = self.registry.get(key).map(Registration::device) else { return };
        let is_success = result.as_ref().is_ok_and(|answer| answer.code.is_success());
        let stats = &mut self.stats;
        let counter = match (wanted.cause, is_success) {
            (ObserveCause::Automatic, true) => &mut stats.auto_observed,
            (ObserveCause::Automatic, false) => &mut stats.auto_observe_failed,
            (ObserveCause::Rearmed, true) => &mut stats.rearmed,
            (ObserveCause::Rearmed, false) => &mut stats.rearm_failed,
        };
        *counter += 1;
        let Wanted { request, origin, cause, .. } = wanted;
        if cause == ObserveCause::Rearmed && !is_success {
            let path = request.path.to_string();
            self.note_device(key, NoteKind::ObservationLost, path.as_bytes());
        }
        let (operation, path) = (request.operation, request.path);
        let observed = Observed { device, cause, origin, operation, path, result };
        self.emit(key, Event::Observed(Box::new(observed)));
    }
}
