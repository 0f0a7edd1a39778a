//! Object definitions that are loaded: beyond EMQX.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lwm2m::model::{Multiplicity, ObjectModel, Operations, Presence, ResourceModel};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::query::{Named, Params};
use crate::http::{ApiError, ErrorBody};

/// One version of an object.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ObjectRow {
    id: u16,
    #[schema(example = "1.1")]
    version: String,
    #[schema(example = "Device")]
    name: String,
    /// Whether there may be several instances.
    multiple: bool,
    /// Whether a device must have it.
    mandatory: bool,
    /// How many resources it has.
    resources: usize,
}

/// One version of an object with its resources.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ObjectDetail {
    id: u16,
    version: String,
    name: String,
    multiple: bool,
    mandatory: bool,
    resources: Vec<Resource>,
}

/// A resource of an object.
#[derive(Debug, Serialize, ToSchema)]
struct Resource {
    id: u16,
    name: String,
    /// R, W, RW, E, or empty.
    operations: &'static str,
    multiple: bool,
    mandatory: bool,
    /// Empty for one that can only be executed.
    #[serde(rename = "dataType")]
    data_type: &'static str,
}

/// Which objects.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ObjectsQuery {
    /// A part of the name, in any case.
    like_name: Option<String>,
}

/// List object definitions
///
/// The built-in ones and those of `lwm2m.xml_dir`, ascending by id and version.
#[utoipa::path(
    get, path = "/gateways/lwm2m/objects", tag = "Objects", operation_id = "list_objects",
    params(ObjectsQuery),
    responses(
        (status = 200, body = Vec<ObjectRow>),
        (status = 400, description = "The message names the parameter", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Params(query): Params<ObjectsQuery>,
) -> Json<Vec<ObjectRow>> {
    let (_, models) = api.commands.contract();
    let part = query.like_name.unwrap_or_default().to_lowercase();
    let wanted = models.iter().filter(|object| object.name.to_lowercase().contains(&part));
    Json(wanted.map(row).collect())
}

/// Show the versions of an object with their resources
#[utoipa::path(
    get, path = "/gateways/lwm2m/objects/{id}", tag = "Objects", operation_id = "show_object",
    params(("id" = u16, Path, description = "The object's number")),
    responses(
        (status = 200, body = Vec<ObjectDetail>),
        (status = 400, description = "That is no number of an object", body = ErrorBody),
        (status = 404, description = "There is no definition of it", body = ErrorBody),
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Named(id): Named,
) -> Result<Json<Vec<ObjectDetail>>, ApiError> {
    let number = id.parse().map_err(|_| ApiError::bad_request("id: expected 0 to 65535"))?;
    let (_, models) = api.commands.contract();
    let versions: Vec<ObjectDetail> = models.versions(number).map(detail).collect();
    if versions.is_empty() {
        return Err(ApiError::not_found(format!("there is no definition of object {number}")));
    }
    Ok(Json(versions))
}

fn row(object: &ObjectModel) -> ObjectRow {
    ObjectRow {
        id: object.id,
        version: object.version.to_string(),
        name: object.name.to_string(),
        multiple: object.is_multiple(),
        mandatory: object.presence == Presence::Mandatory,
        resources: object.resources.len(),
    }
}

fn detail(object: &ObjectModel) -> ObjectDetail {
    ObjectDetail {
        id: object.id,
        version: object.version.to_string(),
        name: object.name.to_string(),
        multiple: object.is_multiple(),
        mandatory: object.presence == Presence::Mandatory,
        resources: object.resources.iter().map(resource).collect(),
    }
}

fn resource(resource: &ResourceModel) -> Resource {
    Resource {
        id: resource.id,
        name: resource.name.to_string(),
        operations: resource.operations.letters(),
        multiple: resource.multiplicity == Multiplicity::Multiple,
        mandatory: resource.presence == Presence::Mandatory,
        data_type: match resource.operations {
            Operations::Execute => "",
            _ => resource.data_type.name(),
        },
    }
}
