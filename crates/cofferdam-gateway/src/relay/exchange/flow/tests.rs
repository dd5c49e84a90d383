//! Bodies between two connections, with somebody else's TLS at either end.

use tokio::io::AsyncReadExt;

use super::*;
use crate::body::BodyFault;
use crate::stream::secure::tests::{Numbers, VERSIONS, bytes, pair, say, wait};

/// Passes what a host `says` on, the way an exchange does; how it ended, and what the client had.
async fn passed(
    (framing, most): (Framing, u64),
    says: &[u8],
    is_whole: bool,
    numbers: &mut Numbers,
) -> (Result<(), Broken>, Vec<u8>, u64) {
    let sizes = [50, 3_000, 70_000];
    let mut side = async |is_client| {
        let (version, size) = (VERSIONS[numbers.below(2)], sizes[numbers.below(3)]);
        pair(version, is_client, size).await
    };
    let ((mut from, mut host), (mut to, mut client)) = (side(true).await, side(false).await);
    let (count, mut had) = (Cell::new(0), Vec::new());
    let body = Body::new(framing, Sender::Answer);
    let mut follows = Follows { body, taken: 0, most };
    let speaks = async {
        if is_whole {
            say(&mut host, says, numbers).await;
        } else {
            host.write_all(says).await.unwrap();
            host.flush().await.unwrap();
        }
        drop(host);
    };
    let passes = async {
        let pass = |task: &mut Context<'_>| {
            poll_records((&mut from, &mut to), &mut follows, (&count, task))
        };
        let done = poll_fn(pass).await;
        to.flush().await.unwrap();
        to.shutdown().await.unwrap();
        // A host that says more than that does not wait.
        let _rest = from.read_to_end(&mut Vec::new()).await;
        done
    };
    let (done, (), read) = tokio::join!(passes, speaks, client.read_to_end(&mut had));
    read.unwrap();
    (done, had, count.get())
}

/// A body in chunks of any size.
fn chunked(body: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let (mut said, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(1 + numbers.below(60_000)));
        said.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        said.extend_from_slice(chunk);
        said.extend_from_slice(b"\r\n");
        rest = later;
    }
    said.extend_from_slice(b"0\r\n\r\n");
    said
}

#[test]
fn a_body_arrives_as_it_was_said() {
    for seed in 1..=24_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let body = bytes(1 + numbers.below(250_000));
        let length = u64::try_from(body.len()).unwrap();
        let (framing, says) = match numbers.below(3) {
            0 => (Framing::Length(length), body),
            1 => (Framing::Chunked, chunked(&body, &mut numbers)),
            _ => (Framing::UntilClose, body),
        };
        let (done, had, count) = wait(passed((framing, u64::MAX), &says, true, &mut numbers));
        assert!(done.is_ok(), "seed {seed}");
        assert!(had == says, "seed {seed}: {} of {}", had.len(), says.len());
        assert_eq!(count, u64::try_from(says.len()).unwrap(), "seed {seed}");
    }
}

#[test]
fn one_that_breaks_off_is_no_whole_one() {
    let body = bytes(100_000);
    for framing in [Framing::Length(100_001), Framing::Chunked, Framing::UntilClose] {
        let mut numbers = Numbers(7);
        let says = match framing {
            Framing::Chunked => chunked(&body, &mut numbers)[..100_000].to_vec(),
            Framing::None | Framing::Length(_) | Framing::UntilClose => body.clone(),
        };
        let (done, had, _) = wait(passed((framing, u64::MAX), &says, false, &mut numbers));
        assert!(matches!(done, Err(Broken::Quiet)), "{framing:?}");
        assert!(had == says, "{framing:?}: what came before goes on");
    }
}

#[test]
fn nothing_behind_it_goes_on() {
    let mut numbers = Numbers(9);
    let says = bytes(90_000);
    let framing = Framing::Length(70_000);
    let (done, had, _) = wait(passed((framing, u64::MAX), &says, true, &mut numbers));
    assert!(done.is_ok() && had == says[..70_000]);
}

#[test]
fn faults_and_too_much_stop_it() {
    let mut numbers = Numbers(11);
    let says = chunked(&bytes(50_000), &mut numbers);
    let mut broken = says.clone();
    let at = broken.len() - 5;
    broken[at] = b'x';
    let (done, had, _) = wait(passed((Framing::Chunked, u64::MAX), &broken, true, &mut numbers));
    let Err(Broken::After(Fault::Answer(code, _))) = done else { panic!("a fault") };
    assert_eq!(code, BodyFault::Size.code());
    assert!(says.starts_with(&had), "nothing that is wrong goes on");
    let (done, had, _) = wait(passed((Framing::Chunked, 40_000), &says, true, &mut numbers));
    assert!(matches!(done, Err(Broken::After(Fault::TooLarge("response-too-large", 40_000)))));
    assert!(had.len() <= 40_000 && says.starts_with(&had));
}
