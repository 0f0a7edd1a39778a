//! A vector that grows by pages: no element ever moves, nothing is copied when it grows, and pages
//! of which nothing is used can be given back.
//!
//! A plain `Vec` of a million registrations would double its 150 MB at an unlucky moment and stop
//! the shard for as long as the copy takes.

/// Elements per page. A page of registrations (about 150 bytes each) is then about 38 KB, small
/// enough to be returned to the allocator's bins and large enough that pages are few.
const PAGE_LEN: usize = 256;

/// A growing array of `T`, addressed by `u32`.
#[derive(Debug)]
pub(crate) struct Paged<T> {
    pages: Vec<Option<Box<[T]>>>,
    len: u32,
}

impl<T: Default> Paged<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }

    /// How many elements there are.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        let index = index as usize;
        self.pages.get(index / PAGE_LEN)?.as_ref()?.get(index % PAGE_LEN)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let index = index as usize;
        self.pages.get_mut(index / PAGE_LEN)?.as_mut()?.get_mut(index % PAGE_LEN)
    }

    /// Makes sure that `index` exists; what is new is `T::default()`.
    ///
    /// `index` is given out by us, never taken from a peer: it decides how much memory is taken.
    pub(crate) fn grow_to(&mut self, index: u32) {
        let page = index as usize / PAGE_LEN;
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        if let Some(page) = self.pages.get_mut(page) {
            let fresh = || core::iter::repeat_with(T::default).take(PAGE_LEN).collect();
            page.get_or_insert_with(fresh);
        }
        self.len = self.len.max(index.saturating_add(1));
    }

    /// Gives back the pages of which no element is used, and forgets those at the end.
    pub(crate) fn give_back(&mut self, is_used: impl Fn(&T) -> bool) {
        for page in &mut self.pages {
            if page.as_ref().is_some_and(|elements| !elements.iter().any(&is_used)) {
                *page = None;
            }
        }
        while self.pages.last().is_some_and(Option::is_none) {
            self.pages.pop();
        }
        self.pages.shrink_to_fit();
        let end = u32::try_from(self.pages.len() * PAGE_LEN).unwrap_or(u32::MAX);
        self.len = self.len.min(end);
    }
}

/// Tells when most of the memory of a collection is that of a peak.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    sparse_below: usize,
}

/// A peak is over when one in so many of its elements is left.
const SPARSE: usize = 4;

/// Peaks below 256 elements, some 60 KB, are left alone.
const SPARSE_MIN: usize = 256 / SPARSE;

impl Peak {
    pub(crate) const fn new() -> Self {
        Self { sparse_below: 0 }
    }

    /// There are `len` elements now, one more than before.
    pub(crate) fn grown(&mut self, len: usize) {
        self.sparse_below = self.sparse_below.max(len / SPARSE);
    }

    /// Whether memory is to be given back now that `len` elements are left. Once; then again when
    /// half of the rest has left.
    pub(crate) const fn is_over(&mut self, len: usize) -> bool {
        let is_over = len < self.sparse_below && self.sparse_below >= SPARSE_MIN;
        if is_over {
            self.sparse_below = len / 2;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_where_they_are_while_pages_are_added() {
        let mut paged: Paged<u32> = Paged::new();
        assert_eq!(paged.get(0), None);
        for index in 0..1000 {
            paged.grow_to(index);
            *paged.get_mut(index).unwrap() = index;
        }
        assert_eq!(paged.len(), 1000);
        assert!((0..1000).all(|index| paged.get(index) == Some(&index)));
        assert_eq!(paged.get(1000), None);
        assert_eq!(paged.get_mut(1000), None);
    }

    #[test]
    fn growing_to_an_index_that_exists_changes_nothing() {
        let mut paged: Paged<u8> = Paged::new();
        paged.grow_to(5);
        *paged.get_mut(5).unwrap() = 7;
        paged.grow_to(2);
        assert_eq!((paged.len(), paged.get(5)), (6, Some(&7)));
    }

    #[test]
    fn pages_without_used_elements_are_given_back() {
        let mut paged: Paged<u32> = Paged::new();
        for index in 0..2000 {
            paged.grow_to(index);
            *paged.get_mut(index).unwrap() = u32::from(index == 10 || index == 1000);
        }
        paged.give_back(|element| *element > 0);
        assert_eq!(paged.pages.iter().flatten().count(), 2);
        assert_eq!((paged.len(), paged.get(300)), (1024, None));
        assert_eq!((paged.get(10), paged.get(1000)), (Some(&1), Some(&1)));
        paged.grow_to(300);
        assert_eq!((paged.len(), paged.get(300)), (1024, Some(&0)));
    }

    #[test]
    fn a_peak_is_over_when_a_quarter_is_left_and_then_at_each_half() {
        let mut peak = Peak::new();
        (1..=1000).for_each(|len| peak.grown(len));
        let over: Vec<usize> = (0..1000).rev().filter(|len| peak.is_over(*len)).collect();
        assert_eq!(over, [249, 123]);
        (1..=200).for_each(|len| peak.grown(len));
        assert!((0..200).rev().all(|len| !peak.is_over(len)));
    }
}
