//! A table of numbered places in pages: growth copies nothing, and an empty page gives its memory
//! back.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Values by number. Free numbers are used again, the lowest first.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Page<T>>,
    /// No page before this one has room.
    roomy: usize,
    len: usize,
    pages_max: usize,
}

#[derive(Debug)]
struct Page<T> {
    used: Box<[u64; WORDS]>,
    count: usize,
    values: Vec<Option<T>>,
}

impl<T> Slab<T> {
    /// A table for at most 2^24 values: what three bytes of a token can name.
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new(), roomy: 0, len: 0, pages_max: 1 << (24 - PAGE_BITS) }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Puts a value into the lowest free place; gives it back if there is none.
    pub(crate) fn insert(&mut self, value: T) -> Result<u32, T> {
        let Some(page) = self.page_with_room() else {
            return Err(value);
        };
        self.roomy = page;
        let Some(place) = self.pages.get(page).and_then(Page::free_place) else {
            return Err(value);
        };
        self.put(page, place, value);
        Ok((page << PAGE_BITS | place) as u32)
    }

    /// Puts a value into a place of its own; gives it back if the place is taken.
    pub(crate) fn insert_at(&mut self, index: u32, value: T) -> Result<(), T> {
        let (page, place) = split(index);
        if page >= self.pages_max || self.get(index).is_some() {
            return Err(value);
        }
        while self.pages.len() <= page {
            self.pages.push(Page::new());
        }
        self.put(page, place, value);
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (page, place) = split(index);
        self.pages.get(page)?.values.get(place)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let (page, place) = split(index);
        self.pages.get_mut(page)?.values.get_mut(place)?.as_mut()
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let (number, place) = split(index);
        let page = self.pages.get_mut(number)?;
        let value = page.values.get_mut(place)?.take()?;
        page.mark_free(place);
        self.roomy = self.roomy.min(number);
        self.len -= 1;
        if self.len == 0 {
            self.pages = Vec::new();
            self.roomy = 0;
        }
        Some(value)
    }

    fn page_with_room(&mut self) -> Option<usize> {
        let from = self.roomy.min(self.pages.len());
        let rest = self.pages.get(from..).unwrap_or_default();
        if let Some(found) = rest.iter().position(|page| page.count < PAGE) {
            return Some(from + found);
        }
        if self.pages.len() >= self.pages_max {
            return None;
        }
        self.pages.push(Page::new());
        Some(self.pages.len() - 1)
    }

    fn put(&mut self, page: usize, place: usize, value: T) {
        if let Some(page) = self.pages.get_mut(page) {
            page.put(place, value);
            self.len += 1;
        }
    }
}

impl<T> Page<T> {
    fn new() -> Self {
        Self { used: Box::new([0; WORDS]), count: 0, values: Vec::new() }
    }

    fn free_place(&self) -> Option<usize> {
        let (word, bits) = self.used.iter().enumerate().find(|(_, word)| **word != u64::MAX)?;
        Some(word * 64 + bits.trailing_ones() as usize)
    }

    fn put(&mut self, place: usize, value: T) {
        if self.values.len() <= place {
            self.values.resize_with(place + 1, || None);
        }
        if let (Some(slot), Some(word)) =
            (self.values.get_mut(place), self.used.get_mut(place / 64))
        {
            *slot = Some(value);
            *word |= 1 << (place % 64);
            self.count += 1;
        }
    }

    fn mark_free(&mut self, place: usize) {
        if let Some(word) = self.used.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
            self.count -= 1;
        }
        if self.count == 0 {
            self.values = Vec::new();
        }
    }
}

const fn split(index: u32) -> (usize, usize) {
    (index as usize >> PAGE_BITS, index as usize & (PAGE - 1))
}

/// 1024 values a page: 40 KiB of observations.
const PAGE_BITS: u32 = 10;
const PAGE: usize = 1 << PAGE_BITS;
const WORDS: usize = PAGE / 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_dense_and_used_again() {
        let mut slab = Slab::new();
        let indices: Vec<u32> = (0..3_000).map(|n| slab.insert(n).unwrap()).collect();
        assert_eq!(indices, (0..3_000).collect::<Vec<u32>>());
        assert_eq!(slab.remove(1_500), Some(1_500));
        assert_eq!(slab.remove(1_500), None);
        assert_eq!(slab.remove(2), Some(2));
        assert_eq!(slab.insert(9), Ok(2));
        assert_eq!(slab.insert(9), Ok(1_500));
        assert_eq!(slab.insert(9), Ok(3_000));
    }

    #[test]
    fn a_place_can_be_asked_for_once() {
        let mut slab = Slab::new();
        assert_eq!(slab.insert_at(5_000, 'a'), Ok(()));
        assert_eq!(slab.insert_at(5_000, 'b'), Err('b'));
        assert_eq!(slab.insert_at(1 << 24, 'b'), Err('b'));
        assert_eq!(slab.insert('c'), Ok(0));
        assert_eq!(slab.get(5_000), Some(&'a'));
    }

    #[test]
    fn empty_pages_give_their_memory_back() {
        let mut slab = Slab::new();
        for n in 0..10_000u32 {
            slab.insert(n).unwrap();
        }
        for n in 1_024..10_000 {
            slab.remove(n);
        }
        assert_eq!(slab.pages.iter().filter(|page| page.values.capacity() > 0).count(), 1);
        for n in 0..1_024 {
            slab.remove(n);
        }
        assert!(slab.pages.is_empty() && slab.len() == 0);
    }
}
