//! Base64 as LwM2M payloads use it: OMA Core Appendix C (text), RFC 8428 5 (SenML JSON).

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const LENIENT_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
const LENIENT_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);

/// The bytes of Base64 in either alphabet, with or without padding: devices mix them up.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let standard = text.bytes().any(|byte| matches!(byte, b'+' | b'/'));
    let engine = if standard { LENIENT_STANDARD } else { LENIENT_URL_SAFE };
    engine.decode(text).ok()
}

/// The bytes of Base64 that encodes back to the very same text.
pub(crate) fn decode_canonical(text: &[u8]) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Appends Base64 with the standard alphabet and padding.
pub(crate) fn encode_standard(bytes: &[u8], out: &mut Vec<u8>) {
    append(&base64::engine::general_purpose::STANDARD, bytes, out);
}

/// Appends Base64 with the alphabet for URLs, without padding.
pub(crate) fn encode_url_safe(bytes: &[u8], out: &mut Vec<u8>) {
    append(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes, out);
}

fn append(engine: &GeneralPurpose, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(engine.encode(bytes).as_bytes());
}
