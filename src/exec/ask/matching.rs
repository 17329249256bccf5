//! Conditions outside searches: which records satisfy one, and removing them.
//!
//! Owns the searching half of `simile remove --where`. It types and runs a condition exactly as `where` does.

use crate::error::Result;
use crate::exec::run::filter;
use crate::exec::settle::condition;
use crate::exec::settle::names::Site;
use crate::exec::settle::params::Params;
use crate::query::parse_expr;
use crate::store::{CollectionWriter, Snapshot};
use crate::types::{Control, RowId};

impl Snapshot {
    /// Ids of the records of `collection` that satisfy `condition`, in row order.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-matching-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// use simile::{Record, Store};
    /// let store = Store::create(dir.join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "old").field("year", 1999))?;
    /// batch.collection("notes")?.insert(Record::new("n2", "new").field("year", 2024))?;
    /// batch.commit()?;
    /// assert_eq!(store.snapshot()?.matching("notes", "year < 2000")?, ["n1"]);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown collection,
    /// [`ErrorKind::Query`](crate::ErrorKind::Query) for a condition that does not parse or does not fit the fields.
    pub fn matching(&self, collection: &str, condition: &str) -> Result<Vec<String>> {
        let collection = self.collection(collection)?;
        let expr = parse_expr(condition)?;
        let site = Site::new(condition);
        let condition = condition::check(&expr, &collection.def().fields, &Params::new(), &site)?;
        let rows = filter::select(&condition, collection.live(), &|field| collection.column(field), &Control::new())?;
        rows.iter().map(|row| Ok(collection.record(RowId(row))?.id)).collect()
    }
}

impl CollectionWriter<'_> {
    /// Removes the records that satisfy `condition` at `snapshot`; the number removed. Records that came or went
    /// since are judged as they were then.
    ///
    /// # Errors
    /// As [`Snapshot::matching`] and [`CollectionWriter::remove`].
    pub fn remove_where(&mut self, snapshot: &Snapshot, condition: &str) -> Result<u64> {
        let name = self.def().name.clone();
        let mut removed = 0;
        for id in snapshot.matching(&name, condition)? {
            removed += u64::from(self.remove(&id)?);
        }
        Ok(removed)
    }
}
