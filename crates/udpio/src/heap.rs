//! The heap of the process: what is in use, and giving the rest back to the system.
//!
//! No socket is involved; it is here because this crate is where the workspace talks to the C
//! library. glibc keeps pages that became free below a block still in use, so a gateway whose fleet
//! has left would hold the memory of its peak for ever.

/// Bytes that the program has allocated and not freed; `None` where the C library does not say.
#[must_use]
pub fn heap_in_use() -> Option<usize> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes no argument, returns numbers by value, and locks each arena it reads.
        let info = unsafe { nix::libc::mallinfo2() };
        Some(info.uordblks.saturating_add(info.hblkhd))
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// Gives the pages that hold nothing back to the system. Whoever allocates meanwhile waits.
pub fn give_back_free_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it touches nothing but free blocks, and locks the arena that it works on.
        unsafe { nix::libc::malloc_trim(0) };
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_in_use_until_it_is_freed() {
        const SIZE: usize = 32 << 20;
        let before = heap_in_use().unwrap();
        let block = vec![1_u8; SIZE];
        let with_it = heap_in_use().unwrap();
        drop(block);
        give_back_free_pages();
        let after = heap_in_use().unwrap();
        // Other tests allocate meanwhile, but far less.
        assert!(with_it >= before + SIZE / 2, "{before} {with_it}");
        assert!(after <= with_it - SIZE / 2, "{with_it} {after}");
    }
}
