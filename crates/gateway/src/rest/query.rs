//! What requests carry: query parameters, names in paths, JSON bodies. Whatever is wrong with one
//! is answered with 400 and the name of the parameter.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Json, Path as InPath, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use lwm2m::EndpointName;
use serde::de::DeserializeOwned;

use crate::http::ApiError;

/// The query parameters; one that is not known is refused, for a misspelt filter that is ignored
/// would list the wrong devices.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(bad_query(&rejection)),
        }
    }
}

fn bad_query(rejection: &QueryRejection) -> ApiError {
    let text = std::error::Error::source(rejection)
        .map_or_else(|| rejection.to_string(), ToString::to_string);
    ApiError::bad_request(text)
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(bad_body(&rejection)),
        }
    }
}

fn bad_body(rejection: &JsonRejection) -> ApiError {
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return ApiError::new(status, "BAD_REQUEST", rejection.body_text());
    }
    let text = std::error::Error::source(rejection)
        .map_or_else(|| rejection.to_string(), ToString::to_string);
    ApiError::bad_request(format!("body: {text}"))
}

/// The text in the place of a path's one parameter.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = InPath::<String>::from_request_parts(parts, state).await;
        path.map(|InPath(name)| Self(name)).map_err(|rejection| bad_path(&rejection))
    }
}

pub(super) fn bad_path(rejection: &PathRejection) -> ApiError {
    ApiError::bad_request(format!("path: {}", rejection.body_text()))
}

/// The device that a path names.
pub(super) struct Client(pub(super) EndpointName);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Named(name) = Named::from_request_parts(parts, state).await?;
        // No device can have registered with what is no name.
        EndpointName::parse(&name).map(Self).map_err(|_| no_client())
    }
}

/// 404 of the endpoints that ask something of a device.
pub(super) fn no_client() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "CLIENT_NOT_FOUND", "no such device is registered")
}
