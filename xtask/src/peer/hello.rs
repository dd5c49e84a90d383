//! A ClientHello (RFC 8446, 4.1.2) with a name, and nothing behind it: what a gateway that takes no TLS
//! off sees of it.

/// The whole record. Every length in it is that of a short name.
pub(crate) fn client_hello(name: &str) -> Vec<u8> {
    /// `TLS_AES_128_GCM_SHA256`, and no compression.
    const SUITES: [u8; 6] = [0, 2, 0x13, 0x01, 1, 0];
    /// `supported_versions`: 1.3.
    const VERSIONS: [u8; 7] = [0, 43, 0, 3, 2, 3, 4];
    const RANDOM: [u8; 32] = [7; 32];
    let mut server_name = vec![0];
    server_name.extend(with_length(name.as_bytes()));
    let server_name = with_length(&with_length(&server_name));
    let mut extensions = vec![0, 0];
    extensions.extend(server_name);
    extensions.extend(VERSIONS);
    let mut body = vec![3, 3];
    body.extend(RANDOM);
    // No session.
    body.push(0);
    body.extend(SUITES);
    body.extend(with_length(&extensions));
    // A handshake message of kind 1, its length in three bytes, in a record of kind 22.
    let mut message = vec![1, 0];
    message.extend(with_length(&body));
    let mut record = vec![22, 3, 1];
    record.extend(with_length(&message));
    record
}

/// `bytes` with their number before them, in two bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    all.extend(bytes);
    all
}
