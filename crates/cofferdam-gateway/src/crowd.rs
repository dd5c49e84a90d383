//! The places for connections. A program that opens more than there are does not shut itself out: who
//! has said nothing yet makes room for who comes next.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// How long a connection may be silent before it has to make room for another, where there is no other
/// room. Clients send at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How often one is asked to: the next becomes old enough meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// One place for each connection.
#[derive(Debug)]
pub(crate) struct Crowd {
    places: Arc<Semaphore>,
    /// Who waits for a place.
    waiting: Cell<usize>,
    /// Wakes the connection that has been silent longest.
    leave: Notify,
}

impl Crowd {
    pub(crate) fn new(places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places));
        Self { places, waiting: Cell::new(0), leave: Notify::new() }
    }

    /// A place, once there is one.
    pub(crate) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let _waits = Waits::new(&self.waiting);
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::pin!(place);
        loop {
            self.leave.notify_one();
            tokio::select! {
                place = &mut place => return place.ok(),
                () = sleep(ASK_AGAIN) => {}
            }
        }
    }

    /// Waits for what somebody with a place does, as long as there is room: after [`PATIENCE`] only until
    /// somebody else needs the place. `None` where it took too long for either.
    pub(crate) async fn within<T>(
        &self,
        at_most: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        if let Ok(done) = timeout(PATIENCE, &mut work).await {
            return Some(done);
        }
        tokio::select! {
            biased;
            done = timeout(at_most.saturating_sub(PATIENCE), &mut work) => done.ok(),
            () = self.needed() => None,
        }
    }

    /// Waits until somebody else needs this place.
    pub(crate) async fn needed(&self) {
        loop {
            self.leave.notified().await;
            // An older call, whose caller has found a place since, moves nobody.
            if self.waiting.get() > 0 {
                return;
            }
        }
    }
}

/// One who waits, until dropped.
struct Waits<'a>(&'a Cell<usize>);

impl<'a> Waits<'a> {
    fn new(waiting: &'a Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_moves_one_and_nobody_is_moved_without_need() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(async {
            let crowd = Crowd::new(1);
            let first = crowd.enter().await.unwrap();
            let silent = async {
                crowd.needed().await;
                drop(first);
            };
            let (second, ()) = tokio::join!(crowd.enter(), silent);
            assert!(second.is_some(), "the silent one has gone");
            drop(second);
            assert!(crowd.enter().await.is_some(), "a place is free");
            let idle = tokio::time::timeout(ASK_AGAIN * 2, crowd.needed()).await;
            assert!(idle.is_err(), "nobody waits, so nobody is moved");
        });
    }
}
