//! Transmission parameters and the time spans derived from them: RFC 7252 4.8.
//!
//! What the spans are used for is the job of [`crate::endpoint`] and its parts.

use crate::time::Duration;

/// Parameters of RFC 7252 4.8, with the defaults of its table.
#[derive(Clone, Debug, PartialEq)]
pub struct TransmissionParams {
    /// ACK_TIMEOUT: how long the first transmission waits for its acknowledgement at least.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR: the first wait is drawn between ACK_TIMEOUT and this many times it.
    pub ack_random_factor: f64,
    /// MAX_RETRANSMIT: how often a confirmable message is sent again.
    pub max_retransmit: u8,
    /// NSTART: how many interactions with one peer may be outstanding.
    pub nstart: u8,
    /// DEFAULT_LEISURE: the spread of answers to multicast requests.
    pub default_leisure: Duration,
    /// PROBING_RATE in bytes per second towards a peer that does not answer.
    pub probing_rate: u32,
}

impl Default for TransmissionParams {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_factor: 1.5,
            max_retransmit: 4,
            nstart: 1,
            default_leisure: Duration::from_secs(5),
            probing_rate: 1,
        }
    }
}

impl TransmissionParams {
    /// MAX_LATENCY: how long a datagram may be on its way (RFC 7252 4.8.2).
    pub const MAX_LATENCY: Duration = Duration::from_secs(100);

    /// MAX_TRANSMIT_SPAN: from the first transmission to the last; 45 s by default.
    pub fn max_transmit_span(&self) -> Duration {
        self.scaled(self.doublings(self.max_retransmit).saturating_sub(1))
    }

    /// MAX_TRANSMIT_WAIT: from the first transmission until a sender gives up; 93 s by default.
    pub fn max_transmit_wait(&self) -> Duration {
        self.scaled(self.doublings(self.max_retransmit.saturating_add(1)).saturating_sub(1))
    }

    /// PROCESSING_DELAY: how long a peer takes to acknowledge; ACK_TIMEOUT by definition.
    pub fn processing_delay(&self) -> Duration {
        self.ack_timeout
    }

    /// MAX_RTT: twice MAX_LATENCY plus PROCESSING_DELAY; 202 s by default.
    pub fn max_rtt(&self) -> Duration {
        Self::MAX_LATENCY.saturating_mul(2).saturating_add(self.processing_delay())
    }

    /// EXCHANGE_LIFETIME: how long a confirmable message id must not be used again; 247 s by
    /// default.
    pub fn exchange_lifetime(&self) -> Duration {
        self.max_transmit_span().saturating_add(self.max_rtt())
    }

    /// NON_LIFETIME: the same for a non-confirmable message id; 145 s by default.
    pub fn non_lifetime(&self) -> Duration {
        self.max_transmit_span().saturating_add(Self::MAX_LATENCY)
    }

    /// The first wait for an acknowledgement, for a draw between 0 and `u32::MAX`.
    pub fn first_timeout(&self, draw: u32) -> Duration {
        let spread = (self.random_factor() - 1.0) * f64::from(draw) / f64::from(u32::MAX);
        self.ack_timeout.mul_f64(1.0 + spread)
    }

    fn doublings(&self, count: u8) -> u32 {
        1u32.checked_shl(u32::from(count)).unwrap_or(u32::MAX)
    }

    fn scaled(&self, factor: u32) -> Duration {
        self.ack_timeout.saturating_mul(factor).mul_f64(self.random_factor())
    }

    /// A factor that `Duration::mul_f64` takes without panic whatever was configured.
    fn random_factor(&self) -> f64 {
        if self.ack_random_factor.is_finite() {
            self.ack_random_factor.clamp(1.0, RANDOM_FACTOR_MAX)
        } else {
            1.0
        }
    }
}

/// Nobody spreads a first wait further than tenfold; the bound keeps every product finite.
const RANDOM_FACTOR_MAX: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_spans_of_rfc_7252_table_3() {
        let params = TransmissionParams::default();
        assert_eq!(params.max_transmit_span(), Duration::from_secs(45));
        assert_eq!(params.max_transmit_wait(), Duration::from_secs(93));
        assert_eq!(params.max_rtt(), Duration::from_secs(202));
        assert_eq!(params.exchange_lifetime(), Duration::from_secs(247));
        assert_eq!(params.non_lifetime(), Duration::from_secs(145));
    }

    #[test]
    fn the_first_wait_lies_between_ack_timeout_and_its_random_factor() {
        let params = TransmissionParams::default();
        assert_eq!(params.first_timeout(0), Duration::from_secs(2));
        assert_eq!(params.first_timeout(u32::MAX), Duration::from_secs(3));
        let middle = params.first_timeout(u32::MAX / 2);
        assert!(middle > Duration::from_secs(2) && middle < Duration::from_secs(3));
    }

    #[test]
    fn odd_factors_are_tamed() {
        for factor in [f64::NAN, f64::INFINITY, -3.0, 0.0] {
            let params =
                TransmissionParams { ack_random_factor: factor, ..TransmissionParams::default() };
            assert_eq!(params.max_transmit_span(), Duration::from_secs(30), "{factor}");
        }
        let params = TransmissionParams { max_retransmit: 255, ..TransmissionParams::default() };
        assert!(params.exchange_lifetime() > Duration::from_secs(1_000_000));
    }
}
