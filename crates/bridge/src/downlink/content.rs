//! The values of write and create, by path (contract, sections 3.3 and 3.5).

use lwm2m::{DataType, Models, Path, Reading};

use super::Fault;
use super::fault::ValueFault;
use super::value::{self, Encoding, Unreadable};
use crate::json::{Json, Members};

/// What reading values needs besides the command's `data`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) models: &'a Models,
    pub(super) encoding: Encoding,
}

/// How the items of `content` are addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressing {
    /// Below the path of the command.
    Relative,
    /// By a full path, in a composite write.
    Absolute,
}

impl Reader<'_> {
    /// The one value of a single write.
    pub(super) fn single(self, path: Path, data: &Members<'_>) -> Result<Vec<Reading>, Fault> {
        Ok(vec![Reading::new(path, self.value(0, path, data)?)])
    }

    /// The values of `content` below a path; those of a resource are its instances, unless there is
    /// exactly one, which then is the resource itself.
    pub(super) fn batch(self, base: Path, items: &[Json<'_>]) -> Result<Vec<Reading>, Fault> {
        if let ([item], 3) = (items, base.len()) {
            let item = object(0, *item)?;
            return self.single(base, &item);
        }
        let mut readings = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let reading = self.item(number, *item, base, Addressing::Relative)?;
            replace(&mut readings, reading);
        }
        Ok(readings)
    }

    /// The values of a composite write, each with its own full path; null deletes.
    pub(super) fn composite(self, items: &[Json<'_>]) -> Result<Vec<Reading>, Fault> {
        let mut readings = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let reading = self.item(number, *item, Path::ROOT, Addressing::Absolute)?;
            replace(&mut readings, reading);
        }
        Ok(readings)
    }

    fn item(
        self,
        number: usize,
        item: Json<'_>,
        base: Path,
        addressing: Addressing,
    ) -> Result<Reading, Fault> {
        let item = object(number, item)?;
        let misplaced = Fault::Value { item: number, error: ValueFault::Path };
        let text = item.find("path").and_then(Json::string).ok_or(misplaced.clone())?;
        let relative = Path::parse(&text).map_err(|_| misplaced.clone())?;
        let path = below(base, relative).ok_or(misplaced)?;
        let null = item.find("value").is_some_and(Json::is_null);
        if addressing == Addressing::Absolute && null {
            return Ok(Reading::path_only(path));
        }
        Ok(Reading::new(path, self.value(number, path, &item)?))
    }

    fn value(self, number: usize, path: Path, item: &Members<'_>) -> Result<lwm2m::Value, Fault> {
        let wrong = |error| Fault::Value { item: number, error };
        let name = item.find("type").and_then(Json::string).ok_or(wrong(ValueFault::Type))?;
        let data_type = DataType::parse(&name)
            .filter(|data_type| *data_type != DataType::None)
            .ok_or(wrong(ValueFault::Type))?;
        let value = item.find("value").ok_or(wrong(ValueFault::Missing))?;
        value::read(data_type, value, self.encoding, self.defined_type(path)).map_err(|error| {
            match error {
                Unreadable::NotHex => Fault::NotHex(number),
                Unreadable::Other(error) => wrong(error),
            }
        })
    }

    /// The type in the latest definition: the version that the device has is not known here, and no
    /// resource ever changed from signed to unsigned.
    fn defined_type(self, path: Path) -> Option<DataType> {
        let model = self.models.lookup(path.object_id()?, None)?;
        Some(model.resource(path.resource_id()?)?.data_type)
    }
}

fn object<'a>(number: usize, item: Json<'a>) -> Result<Members<'a>, Fault> {
    item.object().ok_or(Fault::Value { item: number, error: ValueFault::NotAnObject })
}

/// A path of a resource or resource instance below `base`; `None` when it would not be one.
fn below(base: Path, relative: Path) -> Option<Path> {
    let path = relative.ids().iter().try_fold(base, |path, id| path.child(*id))?;
    (path.len() >= 3 && path != base).then_some(path)
}

/// Adds a reading. What stood at its path, above or below it goes: the last one wins, and stands
/// last.
fn replace(readings: &mut Vec<Reading>, reading: Reading) {
    let clashes = |other: &Reading| {
        other.path.starts_with(&reading.path) || reading.path.starts_with(&other.path)
    };
    readings.retain(|other| !clashes(other));
    readings.push(reading);
}
