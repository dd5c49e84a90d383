//! A list that is made once and held in many places.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A list. Its copies are the list itself until one of them is changed: text, policy and plan hold the same ten
/// thousand rules, and none of them copies a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct List<T>(Arc<Vec<T>>);

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

/// Whoever changes a list that others hold too has one of its own from then on.
impl<T: Clone> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: Clone> List<T> {
    /// Appends what `other` has; the same list, where there was nothing.
    pub fn join(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
        } else if !other.is_empty() {
            self.extend_from_slice(other);
        }
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(list: Vec<T>) -> Self {
        Self(Arc::new(list))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(feature = "json")]
impl<T: serde::Serialize> serde::Serialize for List<T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_list_until_it_is_changed() {
        let first: List<u8> = vec![1, 2].into();
        let mut second = first.clone();
        assert!(std::ptr::eq(first.as_ptr(), second.as_ptr()), "nothing was copied");
        second.push(3);
        assert_eq!((first.as_slice(), second.as_slice()), (&[1, 2][..], &[1, 2, 3][..]));
    }

    #[test]
    fn joined_lists_have_what_both_have() {
        let (first, second): (List<u8>, List<u8>) = (vec![1].into(), vec![2].into());
        let mut joined = List::default();
        joined.join(&first);
        assert!(std::ptr::eq(first.as_ptr(), joined.as_ptr()), "nothing was copied");
        joined.join(&List::default());
        assert!(std::ptr::eq(first.as_ptr(), joined.as_ptr()), "nor for nothing");
        joined.join(&second);
        assert_eq!((joined.as_slice(), first.as_slice()), (&[1, 2][..], &[1][..]));
    }
}
