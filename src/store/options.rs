//! How a store is opened, and what a new collection or view is to be.
//!
//! Plain builders; what they mean is decided in `handle` and `write/`.

use crate::error::{Error, ErrorKind, Result};
use crate::query::suggest;
use crate::text::embed::{Embedder, by_name, default_model};
use crate::types::{ElementType, ViewKind, limits};
use std::sync::Arc;
use std::time::Duration;

/// Default size of the catalog's page cache in bytes.
pub const DEFAULT_PAGE_CACHE_BYTES: usize = 64 << 20;

/// Default size of the cache of what lenses compute, in bytes.
pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

/// How to open a store.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// # let path = dir.join("notes.simile");
/// use simile::store::Options;
/// use std::time::Duration;
/// let store = Options::new().busy_timeout(Duration::from_secs(2)).create(&path)?;
/// drop(store);
/// let reader = Options::new().read_only(true).open(&path)?;
/// assert!(reader.is_read_only());
/// # drop(reader);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(in crate::store) read_only: bool,
    pub(in crate::store) busy_timeout: Duration,
    pub(in crate::store) cache_bytes: usize,
    pub(in crate::store) lens_cache_bytes: usize,
    pub(in crate::store) threads: Option<usize>,
    pub(in crate::store) embedders: Vec<Arc<dyn Embedder>>,
    default_embedder: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            read_only: false,
            busy_timeout: Duration::ZERO,
            cache_bytes: DEFAULT_PAGE_CACHE_BYTES,
            lens_cache_bytes: DEFAULT_CACHE_BYTES,
            threads: None,
            embedders: Vec::new(),
            default_embedder: None,
        }
    }
}

impl Options {
    /// Reading and writing, no waiting for locks, 64 MiB of page cache, 256 MiB for what lenses compute.
    pub fn new() -> Self {
        Options::default()
    }

    /// Open for reading only: any number of processes may, beside one that writes.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How long to wait for another writer's lock before saying that there is one. Readers wait as long for a moment in
    /// which the store can be looked at, which a writer that was stopped may not leave them; 5 s where this is zero.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Size of the catalog's page cache in bytes.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Bytes kept of what lenses compute (per-record scalars, statistics).
    #[must_use]
    pub fn lens_cache_bytes(mut self, bytes: usize) -> Self {
        self.lens_cache_bytes = bytes;
        self
    }

    /// Threads that work for this store at a time, the one that asks among them; by default one for each core, which
    /// all stores of the process share. A search that is asked for on a thread of a rayon pool of the program's own
    /// shares its work with that pool, whatever this says. At least 1, and at most eight for each core (64 on small
    /// machines): what is asked for beyond that is taken for it, and [`Store::threads`](crate::store::Store::threads)
    /// says so.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.clamp(1, most_threads()));
        self
    }

    /// Makes an embedder of the app's own known under its name, for views that name it.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedders.push(embedder);
        self
    }

    /// The embedder that collections of a new store get, by name; without, the bundled one (none in a build without
    /// it). Opening or making a store with the name of one that is not there is an error.
    #[must_use]
    pub fn default_embedder(mut self, name: impl Into<String>) -> Self {
        self.default_embedder = Some(name.into());
        self
    }

    /// Refuses what no store could be opened with.
    pub(in crate::store) fn check(&self) -> Result<()> {
        for embedder in &self.embedders {
            let (name, dimension) = (embedder.name(), embedder.dimension());
            if name.is_empty() || dimension == 0 || dimension > limits::DIMENSION {
                let message = format!(
                    "embedder {name:?} makes vectors of {dimension} dimensions: it needs a name, and 1 to {} \
                     dimensions",
                    limits::DIMENSION
                );
                return Err(Error::invalid(message).with_field("embedder"));
            }
        }
        let Some(wanted) = &self.default_embedder else { return Ok(()) };
        if self.embedders.iter().any(|embedder| embedder.name() == wanted) || by_name(wanted).is_some() {
            return Ok(());
        }
        let known: Vec<String> = self
            .embedders
            .iter()
            .map(|own| own.name().to_string())
            .chain(default_model().map(|model| model.name().to_string()))
            .collect();
        let meant = suggest(wanted, known.iter().map(String::as_str));
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        let message = format!("there is no embedder {wanted:?}{meant} (embedders: {})", known.join(", "));
        Err(Error::new(ErrorKind::Unsupported, message).with_field("default_embedder"))
    }

    /// Name of the embedder that a new store is made with.
    pub(in crate::store) fn new_store_embedder(&self) -> Option<String> {
        self.default_embedder.clone().or_else(|| default_model().map(|model| model.name().to_string()))
    }
}

/// Most threads of one store: more would not be at work at a time, and each takes memory of its own.
fn most_threads() -> usize {
    const LEAST: usize = 64;
    std::thread::available_parallelism().map_or(LEAST, |cores| (8 * cores.get()).max(LEAST))
}

/// Which embedder a new collection's `raw` view gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::store) enum EmbedderChoice {
    /// The store's; dropped again if the first record brings a raw vector of its own.
    #[default]
    StoreDefault,
    /// None: raw vectors are supplied.
    Supplied,
    /// The one of this name.
    Named(String),
}

/// What a new collection is to be.
#[derive(Debug, Clone, Default)]
pub struct CollectionSpec {
    pub(in crate::store) embedder: EmbedderChoice,
    pub(in crate::store) element: ElementType,
}

impl CollectionSpec {
    /// `raw` is embedded with the store's embedder, elements are `f32`.
    pub fn new() -> Self {
        CollectionSpec::default()
    }

    /// Embeds `raw` with the embedder of this name.
    #[must_use]
    pub fn embedder(mut self, name: impl Into<String>) -> Self {
        self.embedder = EmbedderChoice::Named(name.into());
        self
    }

    /// `raw` has no embedder: its vectors are supplied.
    #[must_use]
    pub fn supplied_vectors(mut self) -> Self {
        self.embedder = EmbedderChoice::Supplied;
        self
    }

    /// Element type of `raw`.
    #[must_use]
    pub fn element(mut self, element: ElementType) -> Self {
        self.element = element;
        self
    }
}

/// What a new view is to be.
#[derive(Debug, Clone)]
pub struct ViewSpec {
    pub(in crate::store) name: String,
    pub(in crate::store) kind: ViewKind,
    pub(in crate::store) embedder: Option<String>,
    pub(in crate::store) element: ElementType,
}

impl ViewSpec {
    fn new(name: impl Into<String>, kind: ViewKind) -> Self {
        ViewSpec { name: name.into(), kind, embedder: None, element: ElementType::F32 }
    }

    /// Embeds the record's text put into `template`, which must contain `{text}`.
    pub fn template(name: impl Into<String>, template: impl Into<String>) -> Self {
        ViewSpec::new(name, ViewKind::Template(template.into()))
    }

    /// Embeds a rewritten text that comes with the record (for `import`: in this field of the input).
    pub fn text_from(name: impl Into<String>, field: impl Into<String>) -> Self {
        ViewSpec::new(name, ViewKind::TextFrom(field.into()))
    }

    /// Vectors are supplied; the first one fixes the dimension.
    pub fn vectors_only(name: impl Into<String>) -> Self {
        ViewSpec::new(name, ViewKind::VectorsOnly)
    }

    /// Uses the embedder of this name, not the store's. A view of supplied vectors that has one embeds queries with it.
    #[must_use]
    pub fn embedder(mut self, name: impl Into<String>) -> Self {
        self.embedder = Some(name.into());
        self
    }

    /// Element type of the view's rows.
    #[must_use]
    pub fn element(mut self, element: ElementType) -> Self {
        self.element = element;
        self
    }
}
