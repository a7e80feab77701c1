//! The product cache with its warm file, which lets a fresh process start with a full cache.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is kept about a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) price_cents: u32,
    pub(crate) name: String,
}

/// A bounded map with a time to live; the entry that was inserted first goes first.
#[derive(Debug)]
pub(crate) struct ProductCache {
    entries: BTreeMap<u32, (Instant, Product)>,
    capacity: usize,
    time_to_live: Duration,
}

impl ProductCache {
    pub(crate) const fn new(capacity: usize, time_to_live: Duration) -> Self {
        Self { entries: BTreeMap::new(), capacity, time_to_live }
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Product> {
        let (inserted, product) = self.entries.get(&id)?;
        (inserted.elapsed() < self.time_to_live).then_some(product)
    }

    pub(crate) fn insert(&mut self, id: u32, product: Product) {
        self.entries.insert(id, (Instant::now(), product));
        while self.entries.len() > self.capacity {
            let oldest = self.entries.iter().min_by_key(|(_, (inserted, _))| *inserted).map(|(id, _)| *id);
            match oldest {
                Some(oldest) => self.entries.remove(&oldest),
                None => break,
            };
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds what the warm file holds and this cache does not.
    pub(crate) fn merge(&mut self, warm: BTreeMap<u32, Product>) {
        for (id, product) in warm {
            if !self.entries.contains_key(&id) {
                self.insert(id, product);
                // The file does not say how old an entry is. Ages are spread evenly, or else all entries would
                // expire, and be fetched again, at the same moment.
                let spread = f64::from(id.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
                if let Some((inserted, _)) = self.entries.get_mut(&id) {
                    let age = self.time_to_live.mul_f64(spread);
                    *inserted = inserted.checked_sub(age).unwrap_or(*inserted);
                }
            }
        }
    }

    fn snapshot(&self) -> BTreeMap<u32, Product> {
        self.entries.iter().map(|(id, (_, product))| (*id, product.clone())).collect()
    }
}

/// The warm file, shared by the replicas of a service.
#[derive(Debug, Clone)]
pub(crate) struct WarmFile {
    path: PathBuf,
}

const HEADER: &str = "products 1";

impl WarmFile {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { path: folder.join("products.dat") }
    }

    /// Reads the file; a missing one is an empty one.
    ///
    /// # Errors
    /// `InvalidData` naming the line that cannot be read.
    pub(crate) fn read(&self) -> io::Result<BTreeMap<u32, Product>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&bytes);
        let invalid = |line: usize| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: cannot parse record {line}", self.path.display()),
            )
        };
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(invalid(0));
        }
        let mut products = BTreeMap::new();
        for (number, line) in lines.enumerate() {
            let mut fields = line.splitn(3, ',');
            let id = fields.next().and_then(|field| field.parse().ok());
            let price = fields.next().and_then(|field| field.parse().ok());
            let (Some(id), Some(price_cents), Some(name)) = (id, price, fields.next()) else {
                return Err(invalid(number + 1));
            };
            products.insert(id, Product { price_cents, name: name.to_owned() });
        }
        Ok(products)
    }

    /// Replaces the file by what the cache holds.
    pub(crate) fn write(&self, cache: &ProductCache, writer: &str) -> io::Result<()> {
        self.write_products(&cache.snapshot(), writer)
    }

    pub(crate) fn write_products(&self, products: &BTreeMap<u32, Product>, writer: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut text = format!("{HEADER}\n");
        for (id, product) in products {
            text.push_str(&format!("{id},{},{}\n", product.price_cents, product.name));
        }
        let temporary = self.path.with_extension(format!("{writer}.tmp"));
        fs::write(&temporary, text)?;
        fs::rename(&temporary, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> Product {
        Product { price_cents: 100, name: name.to_owned() }
    }

    #[test]
    fn a_full_cache_drops_what_came_first() {
        let mut cache = ProductCache::new(2, Duration::from_secs(60));
        for id in 0..3 {
            cache.insert(id, product("lamp"));
        }
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.get(0), None);
        assert!(cache.get(2).is_some());
    }

    #[test]
    fn the_warm_file_comes_back_as_written_and_damage_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let file = WarmFile::new(folder.path());
        assert!(file.read().unwrap().is_empty());
        let mut cache = ProductCache::new(10, Duration::from_secs(60));
        cache.insert(7, product("lamp, green"));
        file.write(&cache, "a").unwrap();
        assert_eq!(file.read().unwrap(), BTreeMap::from([(7, product("lamp, green"))]));
        let mut other = ProductCache::new(10, Duration::from_secs(60));
        other.merge(file.read().unwrap());
        assert_eq!(other.get(7), Some(&product("lamp, green")));
        fs::write(folder.path().join("products.dat"), "products 1\n7,1").unwrap();
        assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
