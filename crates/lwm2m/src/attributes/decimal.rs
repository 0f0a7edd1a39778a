//! Decimal numbers in plain notation.
//!
//! Worked on as text: a detour through a float would turn 0.1 into twenty digits and lose integers.

/// The longest number in plain notation, in bytes.
///
/// 40 digits are more than any measured value has; `1e308` in plain notation would not even fit
/// into an option of 255 bytes.
pub const DECIMAL_LEN_MAX: usize = 40;

/// A JSON number (`-1.5e3`) in plain notation (`-1500`); what is plain already stays as it is.
///
/// `None` for what is no number or needs more than [`DECIMAL_LEN_MAX`] bytes.
pub fn plain_decimal(text: &str) -> Option<String> {
    let (sign, magnitude) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (magnitude, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    if !is_digits(whole) || text.len() > 2 * DECIMAL_LEN_MAX {
        return None;
    }
    let plain = if exponent == 0 {
        // The exponent may be written and be zero.
        format!("{sign}{mantissa}")
    } else {
        format!("{sign}{}", shifted(whole, fraction, exponent)?)
    };
    (plain.len() <= DECIMAL_LEN_MAX).then_some(plain)
}

/// Moves the point to the right by `exponent` places, to the left when it is negative.
fn shifted(whole: &str, fraction: &str, exponent: i32) -> Option<String> {
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let limit = DECIMAL_LEN_MAX as i64;
    if point.abs() > limit {
        // Zeros may have any exponent.
        return digits.bytes().all(|digit| digit == b'0').then(|| "0".to_owned());
    }
    let (left, right) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => (digits.get(..point)?.to_owned(), digits.get(point..)?.to_owned()),
        Err(_) => {
            let zeros = usize::try_from(point.unsigned_abs()).ok()?;
            (String::new(), format!("{}{digits}", "0".repeat(zeros)))
        }
    };
    let left = left.trim_start_matches('0');
    let right = right.trim_end_matches('0');
    let left = if left.is_empty() { "0" } else { left };
    Some(if right.is_empty() { left.to_owned() } else { format!("{left}.{right}") })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
