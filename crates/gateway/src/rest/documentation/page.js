// Shows the OpenAPI document of this gateway and tries its operations out. Plain DOM, nothing from
// elsewhere; keys stay in the fields they were typed into.
"use strict";

const METHODS = ["get", "post", "put", "delete"];

/** An element with attributes and children; text is never read as markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Text with its `code` marked as such. */
const prose = (text) => (text || "").split("`")
  .map((part, index) => (index % 2 ? element("code", {}, part) : part));

const byId = (id) => document.getElementById(id);

/** Follows `$ref` inside of the document. */
function resolve(api, node) {
  const path = node && node.$ref;
  return path ? path.slice(2).split("/").reduce((at, key) => at[key], api) : node;
}

/** The name of a schema in one line. */
function typeName(api, schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const some = (schema.oneOf || schema.anyOf || []).filter((one) => one.type !== "null");
  if (some.length) return some.map((one) => typeName(api, one)).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [].concat(schema.type || []).filter((type) => type !== "null");
  if (types.includes("array")) return `${typeName(api, schema.items)}[]`;
  return types.join(" | ");
}

/** A value as the schema describes it. */
function example(api, given, depth = 0) {
  const schema = resolve(api, given);
  if (!schema || depth > 6) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.examples && schema.examples.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const some = (schema.oneOf || schema.anyOf || []).find((one) => one.type !== "null");
  if (some) return example(api, some, depth + 1);
  if (schema.allOf) {
    return Object.assign({}, ...schema.allOf.map((part) => example(api, part, depth + 1)));
  }
  const type = [].concat(schema.type || []).find((name) => name !== "null");
  switch (type) {
    case "array": return [example(api, schema.items, depth + 1)];
    case "integer": case "number": return schema.minimum || 0;
    case "boolean": return true;
    case "string": return "";
    default:
      return Object.fromEntries(Object.entries(schema.properties || {})
        .map(([name, property]) => [name, example(api, property, depth + 1)]));
  }
}

/** The properties of a schema, those of its parts included. */
function properties(api, given) {
  const schema = resolve(api, given) || {};
  const own = Object.entries(schema.properties || {})
    .map(([name, property]) => ({ name, property, needed: (schema.required || []).includes(name) }));
  return (schema.allOf || []).flatMap((part) => properties(api, part)).concat(own);
}

function schemaTable(api, given) {
  const schema = resolve(api, given) || {};
  const items = [].concat(schema.type || []).includes("array") ? schema.items : given;
  const rows = properties(api, items).map(({ name, property, needed }) => element("tr", {},
    element("td", {}, element("code", {}, name), needed ? "" : element("span", { class: "soft" }, " ?")),
    element("td", {}, element("code", {}, typeName(api, property))),
    element("td", {}, ...prose(property.description || resolve(api, property).description))));
  if (!rows.length) return undefined;
  const head = element("tr", {}, element("th", {}, "member"), element("th", {}, "type"), element("th", {}));
  return element("details", {}, element("summary", { class: "soft" }, "Members"),
    element("table", {}, head, ...rows));
}

function parameterRow(api, parameter) {
  const input = element("input", {
    "data-name": parameter.name, "data-in": parameter.in, spellcheck: "false",
    "aria-label": parameter.name, placeholder: parameter.example ?? "",
  });
  const mark = parameter.required ? element("span", { class: "needed" }, " *") : "";
  return element("tr", {},
    element("td", {}, element("code", {}, parameter.name), mark),
    element("td", {}, element("code", {}, typeName(api, parameter.schema))),
    element("td", {}, ...prose(parameter.description)),
    element("td", {}, input));
}

function authorization() {
  const token = byId("token").value;
  if (token) return `Bearer ${token}`;
  const pair = new TextEncoder().encode(`${byId("key").value}:${byId("secret").value}`);
  return pair.length > 1 ? `Basic ${btoa(String.fromCharCode(...pair))}` : undefined;
}

/** The request that the fields of an operation ask for. */
function request(method, path, box) {
  const query = new URLSearchParams();
  let target = path;
  for (const input of box.querySelectorAll("input[data-name]")) {
    const { name, in: place } = input.dataset;
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.append(name, input.value);
  }
  const text = query.toString();
  const body = box.querySelector("textarea");
  return { method: method.toUpperCase(), url: text ? `${target}?${text}` : target, body: body && body.value };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function asCurl({ method, url, body }) {
  const parts = ["curl", "-X", method];
  if (byId("token").value) parts.push("-H", quoted("Authorization: Bearer $TOKEN"));
  else if (byId("key").value) parts.push("-u", quoted(`${byId("key").value}:$SECRET`));
  if (body) parts.push("-H", quoted("Content-Type: application/json"), "-d", quoted(body));
  return parts.concat(quoted(location.origin + url)).join(" ");
}

async function send(method, path, box, shown) {
  const asked = request(method, path, box);
  const headers = {};
  const key = authorization();
  if (key) headers.Authorization = key;
  if (asked.body) headers["Content-Type"] = "application/json";
  const begun = performance.now();
  let text;
  try {
    const answer = await fetch(asked.url, { method: asked.method, headers, body: asked.body || undefined });
    const body = await answer.text();
    const took = Math.round(performance.now() - begun);
    text = `${answer.status} ${answer.statusText}   ${took} ms\n\n${pretty(body)}`;
  } catch (error) {
    text = String(error);
  }
  shown.replaceChildren(element("pre", {}, asCurl(asked)), element("pre", {}, text.trimEnd()));
}

function pretty(body) {
  try { return JSON.stringify(JSON.parse(body), null, 2); } catch { return body; }
}

function responseRow(api, [status, given]) {
  const answer = resolve(api, given);
  const content = Object.values(answer.content || {})[0];
  const schema = content && content.schema;
  return element("tr", {},
    element("td", {}, element("code", {}, status)),
    element("td", {}, ...prose(answer.description), schema ? element("div", {},
      element("code", {}, typeName(api, schema))) : "",
      schema && !status.startsWith("4") && !status.startsWith("5") ? schemaTable(api, schema) : undefined));
}

function operation(api, path, method, described) {
  const shown = element("div", { "aria-live": "polite" });
  const box = element("div");
  const parameters = (described.parameters || []).map((one) => resolve(api, one));
  box.append(...(described.description || "").split("\n\n").filter(Boolean)
    .map((text) => element("p", {}, ...prose(text))));
  if (parameters.length) {
    const head = element("tr", {}, ...["parameter", "type", "", "value"].map((name) => element("th", {}, name)));
    box.append(element("h3", {}, "Parameters"),
      element("table", {}, head, ...parameters.map((one) => parameterRow(api, one))));
  }
  const content = described.requestBody && Object.values(described.requestBody.content)[0];
  if (content) {
    const value = content.example ?? example(api, content.schema);
    const text = element("textarea", { spellcheck: "false", "aria-label": "body" });
    text.value = JSON.stringify(value, null, 2);
    box.append(element("h3", {}, `Body: ${typeName(api, content.schema)}`), text);
    const table = schemaTable(api, content.schema);
    if (table) box.append(table);
  }
  box.append(element("h3", {}, "Answers"), element("table", {},
    ...Object.entries(described.responses).map((one) => responseRow(api, one))));
  const button = element("button", { type: "button", onclick: () => send(method, path, box, shown) }, "Try it");
  box.append(element("div", { class: "send" }, button), shown);
  return element("details", { class: "operation", id: described.operationId },
    element("summary", {}, element("span", { class: `method ${method}` }, method),
      element("span", { class: "path" }, path), element("span", { class: "what" }, described.summary || "")),
    box);
}

function allOperations(api) {
  return Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method])
    .map((method) => ({ path, method, described: item[method] })));
}

function render(api) {
  byId("title").textContent = `${api.info.title} ${api.info.version}`;
  byId("description").textContent = api.info.description;
  const [main, index] = [byId("main"), byId("index")];
  main.replaceChildren();
  for (const tag of api.tags) {
    const operations = allOperations(api).filter(({ described }) => (described.tags || []).includes(tag.name));
    if (!operations.length) continue;
    main.append(element("h2", {}, tag.name), element("p", {}, tag.description || ""));
    index.append(element("li", { class: "group" }, tag.name));
    for (const { path, method, described } of operations) {
      main.append(operation(api, path, method, described));
      const link = element("a", { href: `#${described.operationId}` }, described.summary || path);
      index.append(element("li", { "data-text": `${method} ${path} ${described.summary}`.toLowerCase() }, link));
    }
  }
  byId("filter").addEventListener("input", filter);
  addEventListener("hashchange", open);
  open();
}

function filter() {
  const wanted = byId("filter").value.toLowerCase();
  for (const item of byId("index").querySelectorAll("li[data-text]")) {
    const hidden = !item.dataset.text.includes(wanted);
    item.hidden = hidden;
    byId(item.firstChild.hash.slice(1)).hidden = hidden;
  }
}

/** Opens the operation that the address names. */
function open() {
  const named = location.hash && byId(location.hash.slice(1));
  if (named) {
    named.open = true;
    named.scrollIntoView();
  }
}

fetch("/api/v5/openapi.json")
  .then((answer) => answer.json())
  .then(render)
  .catch((error) => byId("main").replaceChildren(element("p", {}, `The document cannot be shown: ${error}`)));
