//! A placeholder of the same shape.

/// Every byte but the ends of lines is `x`.
#[must_use]
pub fn mask(content: &[u8]) -> Vec<u8> {
    content.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b'x' }).collect()
}
