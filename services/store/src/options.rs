//! How a store is opened.

/// The choices of whoever opens a store. [`Default`] is right for a hub.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The name of this process at PostgreSQL, at most 63 bytes; a successor terminates its backends by it
    /// ([`Store::terminate_backends_of`](crate::Store::terminate_backends_of)). Convention: `hansa-<owner>`.
    pub application_name: String,
    /// Reading connections.
    pub readers: u32,
    /// Refuse every write, and open beside the process that writes: no lock file, no schema change.
    pub read_only: bool,
    /// SQLite: page size of a new database, in bytes.
    pub sqlite_page_bytes: u32,
    /// SQLite: page cache of the writing connection, in bytes.
    pub sqlite_cache_bytes: u64,
    /// SQLite: page cache of each reading connection, in bytes. It is dropped after every commit.
    pub sqlite_reader_cache_bytes: u64,
    /// SQLite: how much of the file is read through the operating system's memory map, in bytes.
    pub sqlite_mmap_bytes: u64,
    /// SQLite: bytes of the write-ahead log past which [`Store::tidy`](crate::Store::tidy) begins it anew.
    pub sqlite_wal_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            application_name: "hansa".into(),
            readers: 3,
            read_only: false,
            sqlite_page_bytes: 8192,
            sqlite_cache_bytes: 64 << 20,
            sqlite_reader_cache_bytes: 16 << 20,
            sqlite_mmap_bytes: 0,
            sqlite_wal_bytes: 256 << 20,
        }
    }
}
