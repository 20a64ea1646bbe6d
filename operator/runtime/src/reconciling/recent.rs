//! Answers of a short while ago, which needn't be asked for again, such as that the cluster doesn't know a kind.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers by what was asked for, each with the time when it came.
#[derive(Debug)]
pub struct Recent<T> {
    holds: Duration,
    known: Mutex<HashMap<String, (Instant, T)>>,
}

impl<T: Clone> Recent<T> {
    /// Nothing is known yet; an answer holds that long.
    pub fn new(holds: Duration) -> Self {
        Self { holds, known: Mutex::default() }
    }

    /// The answer, if it still holds.
    pub fn find(&self, name: &str, now: Instant) -> Option<T> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(name)
            .filter(|(since, _)| now.duration_since(*since) < self.holds)
            .map(|(_, found)| found.clone())
    }

    /// That was found. Answers that hold no more are dropped.
    pub fn note(&self, name: &str, now: Instant, found: T) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| now.duration_since(*since) < self.holds);
        known.insert(name.to_owned(), (now, found));
    }
}

/// One answer about an object as it was, known by a number that changes with it.
#[derive(Debug)]
pub struct Held<T>(Option<(u64, Instant, T)>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Held<T> {
    /// That was found of the object with this number.
    pub fn note(&mut self, of: u64, now: Instant, found: T) {
        self.0 = Some((of, now, found));
    }

    /// The answer, if it is about the object as it is and came not longer ago than that.
    pub fn find(&self, of: u64, now: Instant, holds: Duration) -> Option<T> {
        let (known, since, found) = self.0.as_ref()?;
        (*known == of && now.duration_since(*since) < holds).then(|| found.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_an_object_holds_for_a_while_and_until_the_object_changes() {
        let (mut held, now, hour) = (Held::default(), Instant::now(), Duration::from_secs(3600));
        assert_eq!(held.find(1, now, hour), None);
        held.note(1, now, "right");
        assert_eq!(held.find(1, now + hour / 2, hour), Some("right"));
        assert_eq!((held.find(2, now, hour), held.find(1, now + hour, hour)), (None, None));
    }

    #[test]
    fn what_was_found_is_asked_for_again_after_a_while() {
        let (recent, now) = (Recent::new(Duration::from_secs(300)), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(recent.find("PodMonitor", now), None);
        recent.note("PodMonitor", now, 1);
        assert_eq!((recent.find("PodMonitor", later(299)), recent.find("Other", now)), (Some(1), None));
        assert_eq!(recent.find("PodMonitor", later(300)), None);
        recent.note("Other", later(300), 2);
        assert_eq!(recent.known.lock().unwrap().len(), 1, "an answer that holds no more is dropped");
    }
}
