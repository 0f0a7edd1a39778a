//! A vector that grows by pages: no element ever moves, and nothing is copied when it grows.
//!
//! A plain `Vec` of a million registrations would double its 150 MB at an unlucky moment and stop
//! the shard for as long as the copy takes.

/// Elements per page. A page of registrations (about 150 bytes each) is then about 38 KB, small
/// enough to be returned to the allocator's bins and large enough that pages are few.
const PAGE_LEN: usize = 256;

/// A growing array of `T`, addressed by `u32`.
#[derive(Debug)]
pub(crate) struct Paged<T> {
    pages: Vec<Box<[T]>>,
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
        self.pages.get(index / PAGE_LEN)?.get(index % PAGE_LEN)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let index = index as usize;
        self.pages.get_mut(index / PAGE_LEN)?.get_mut(index % PAGE_LEN)
    }

    /// Makes sure that `index` exists; what is new is `T::default()`.
    ///
    /// `index` is given out by us, never taken from a peer: it decides how much memory is taken.
    pub(crate) fn grow_to(&mut self, index: u32) {
        let pages = index as usize / PAGE_LEN + 1;
        while self.pages.len() < pages {
            self.pages.push(core::iter::repeat_with(T::default).take(PAGE_LEN).collect());
        }
        self.len = self.len.max(index.saturating_add(1));
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
}
