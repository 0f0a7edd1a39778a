//! The OpenAPI document and the page that shows it. Both say nothing about this gateway but what it
//! can be asked, so everybody may read them; what the page tries out needs a key like everything.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use utoipa::openapi::OpenApi;

/// Where the document is.
const DOCUMENT_PATH: &str = "/api/v5/openapi.json";

/// Where the page is.
const PAGE_PATH: &str = "/api-docs";

/// A file that is part of the program, so that nothing is loaded from elsewhere.
#[derive(Clone, Copy)]
struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static str,
}

const FILES: [File; 3] = [
    File {
        path: "/api-docs/",
        kind: "text/html; charset=utf-8",
        content: include_str!("documentation/index.html"),
    },
    File {
        path: "/api-docs/page.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("documentation/page.js"),
    },
    File {
        path: "/api-docs/page.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("documentation/page.css"),
    },
];

/// The routes of document and page.
pub(super) fn router(document: &OpenApi) -> Router {
    // Serialising plain data of our own cannot fail; a test looks at the document.
    let document = document.to_pretty_json().unwrap_or_default();
    let json = move || async move { ([(CONTENT_TYPE, "application/json")], document) };
    let page = Router::new()
        .route(DOCUMENT_PATH, get(json))
        .route(PAGE_PATH, get(async || Redirect::permanent("/api-docs/")));
    FILES.into_iter().fold(page, |router, file| {
        router.route(file.path, get(move || async move { file.into_response() }))
    })
}

impl IntoResponse for File {
    fn into_response(self) -> axum::response::Response {
        let headers: [(HeaderName, HeaderValue); 4] = [
            (CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, self.content).into_response()
    }
}

/// Nothing from elsewhere, and no place inside of another page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
