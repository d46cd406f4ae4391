// The page of postroad catch. What a message says is only ever set as text: no HTML is made of it here.
"use strict";
const $ = (id) => document.getElementById(id);
const list = $("list"), search = $("search");
const TABS = ["HTML", "Text", "Header", "Source", "Attachments", "Links", "Checks"];
let shown = null, tab = null, total = 0, more = true, loading = 0, typed = 0;

function make(tag, text, attributes = {}) {
  const e = document.createElement(tag);
  if (text !== null && text !== undefined) e.textContent = text;
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

async function api(path, options) {
  const r = await fetch("api/messages" + path, options);
  if (!r.ok) throw new Error(`${r.status}`);
  return r;
}

function size(n) {
  return n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(0)} KiB` : `${(n / 1048576).toFixed(1)} MiB`;
}

function when(at) {
  const d = new Date(at * 1000);
  const today = d.toDateString() === new Date().toDateString();
  return today ? d.toLocaleTimeString() : d.toLocaleDateString();
}

function item(m) {
  const a = make("a", null, { href: `#${m.id}`, "data-id": m.id });
  const top = make("span", null, { class: "top" });
  top.append(make("span", m.from || m.sender || "(nobody)"), make("time", when(m.at)));
  const clip = m.attachments ? ` · ${m.attachments} attached` : "";
  a.append(top, make("b", m.subject || "(no subject)"), make("span", `${m.recipients.join(", ")}${clip}`));
  if (shown && shown.id === m.id) a.setAttribute("aria-current", "true");
  return a;
}

function count(n) {
  total = n;
  $("count").textContent = `${n.toLocaleString()} message${n === 1 ? "" : "s"}`;
  document.title = n ? `(${n}) postroad catch` : "postroad catch";
  const none = list.querySelector("p");
  if (none) none.remove();
  if (!n) list.append(make("p", search.value ? "Nothing is found." : "Nothing has come yet. Send mail to the port that the command named."));
}

async function load(anew) {
  const mine = ++loading;
  const last = list.querySelector("a:last-of-type");
  const before = anew || !last ? "" : `&before=${last.dataset.id}`;
  const found = await (await api(`?limit=100&q=${encodeURIComponent(search.value)}${before}`)).json();
  if (mine !== loading) return;
  if (anew) { list.replaceChildren(); list.scrollTop = 0; }
  list.append(...found.messages.map(item));
  more = found.messages.length === 100;
  count(found.total);
}

list.addEventListener("scroll", () => {
  if (more && list.scrollTop + list.clientHeight > list.scrollHeight - 800) { more = false; load(false); }
});
search.addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(() => load(true), 150); });

function listen() {
  const events = new EventSource("api/events");
  events.onopen = () => { $("live").className = "on"; $("live").title = "connected"; load(true); };
  events.onerror = () => { $("live").className = ""; $("live").title = "not connected: is the command still running?"; };
  events.addEventListener("caught", (e) => {
    if (search.value) { clearTimeout(typed); typed = setTimeout(() => load(true), 300); return; }
    const a = item(JSON.parse(e.data));
    a.classList.add("new");
    const top = list.scrollTop, height = list.scrollHeight;
    list.prepend(a);
    if (top > 0) list.scrollTop = top + list.scrollHeight - height;
    count(total + 1);
  });
  events.addEventListener("deleted", (e) => {
    const ids = JSON.parse(e.data);
    if (ids === null || search.value) { load(true); if (ids === null) close(); return; }
    for (const id of ids) {
      const a = list.querySelector(`a[data-id="${id}"]`);
      if (a) a.remove();
      if (shown && shown.id === id) close();
    }
    count(Math.max(0, total - ids.length));
  });
  events.addEventListener("lost", () => load(true));
}

function close() {
  shown = null;
  if (location.hash) history.replaceState(null, "", location.pathname);
  $("detail").hidden = true;
  $("empty").hidden = false;
  $("stage").replaceChildren();
  document.body.classList.remove("reading");
  for (const a of list.querySelectorAll("[aria-current]")) a.removeAttribute("aria-current");
}

async function open() {
  const id = Number(location.hash.slice(1));
  if (!id) return close();
  let m;
  try { m = await (await api(`/${id}`)).json(); } catch { return close(); }
  if (Number(location.hash.slice(1)) !== id) return;
  shown = m;
  for (const a of list.querySelectorAll("[aria-current]")) a.removeAttribute("aria-current");
  const a = list.querySelector(`a[data-id="${id}"]`);
  if (a) { a.setAttribute("aria-current", "true"); a.scrollIntoView({ block: "nearest" }); }
  $("subject").textContent = m.subject || "(no subject)";
  $("download").href = `api/messages/${id}/source?download`;
  const who = { From: m.from, To: m.to, Cc: m.cc, Date: m.date,
    Envelope: `<${m.envelope.sender}> to ${m.envelope.recipients.join(", ")}`, Size: size(m.size) };
  $("who").replaceChildren(...Object.entries(who).filter(([, v]) => v).flatMap(([n, v]) => [make("dt", n), make("dd", v)]));
  const grades = m.checks.filter((c) => c.grade !== "good").length;
  const about = { Attachments: m.parts.length, Links: m.links.length, Checks: grades };
  $("tabs").replaceChildren(...TABS.map((name) => {
    const b = make("button", about[name] ? `${name} ${about[name]}` : name, { role: "tab", "data-tab": name });
    b.disabled = name === "HTML" && !m.html || name === "Text" && m.text === null;
    b.onclick = () => show(name);
    return b;
  }));
  $("detail").hidden = false;
  $("empty").hidden = true;
  document.body.classList.add("reading");
  const usual = m.html ? "HTML" : "Text";
  show(tab && !$("tabs").querySelector(`[data-tab="${tab}"]`).disabled ? tab : usual, true);
}

function frame(remote) {
  // neither script, form, window nor origin: the policy it is served with says the same once more
  const f = make("iframe", null, { sandbox: "", referrerpolicy: "no-referrer", title: "The message",
    src: `api/messages/${shown.id}/html${remote ? "?remote=1" : ""}` });
  if ($("phone").getAttribute("aria-pressed") === "true") f.className = "phone";
  $("stage").replaceChildren(f);
  $("remote").hidden = remote || !shown.remote;
  $("blocked").textContent = !shown.remote ? "" : remote ? "Images were loaded from elsewhere." : `Images from elsewhere are not loaded: ${shown.remote}.`;
}

function table(rows) {
  const t = make("table");
  for (const cells of rows) {
    const tr = make("tr");
    for (const cell of cells) {
      const td = make("td");
      td.append(cell);
      tr.append(td);
    }
    t.append(tr);
  }
  return rows.length ? t : make("p", "There are none.");
}

function part(p, n) {
  const a = make("a", p.name || `part ${n + 1}`, { href: `api/messages/${shown.id}/parts/${n}` });
  if (p.picture) a.target = "_blank"; else a.download = "";
  a.rel = "noopener noreferrer";
  return [`${p.type}`, a, size(p.size)];
}

function grade(c) {
  return [make("span", c.grade, { class: c.grade }), c.text];
}

async function show(name, keep) {
  if (!keep) tab = name;
  const id = shown.id, body = $("body");
  for (const b of $("tabs").children) b.setAttribute("aria-selected", String(b.dataset.tab === name));
  $("frame").hidden = name !== "HTML";
  body.hidden = name === "HTML";
  body.replaceChildren();
  if (name === "HTML") frame(false); else $("stage").replaceChildren();
  if (name === "Text") body.append(make("pre", shown.text));
  if (name === "Header") body.append(table(shown.header));
  if (name === "Attachments") body.append(table(shown.parts.map(part)));
  if (name === "Links") body.append(table(shown.links.map((l, n) => [String(n + 1), l])));
  if (name === "Checks") body.append(table(shown.checks.map(grade)));
  if (name === "Source") {
    let text = await (await api(`/${id}/source`)).text();
    if (text.length > 1e6) text = `${text.slice(0, 1e6)}\n... (save it to see the rest)`;
    if (shown && shown.id === id && body.childElementCount === 0) body.append(make("pre", text));
  }
}

function width(name) {
  for (const id of ["phone", "desk"]) $(id).setAttribute("aria-pressed", String(id === name));
  const f = $("stage").firstChild;
  if (f) f.className = name;
}

async function remove() {
  if (!shown) return;
  const a = list.querySelector(`a[data-id="${shown.id}"]`);
  const next = a && (a.nextElementSibling || a.previousElementSibling);
  await api(`/${shown.id}`, { method: "DELETE" });
  location.hash = next && next.dataset.id ? next.dataset.id : "";
}

function askRelease() {
  if (!shown || $("release").hidden) return;
  $("release-to").value = shown.envelope.recipients.join("\n");
  $("released").textContent = "";
  $("releasing").showModal();
  $("release-to").focus();
}

async function release() {
  const to = $("release-to").value.split(/[\s,]+/).filter(Boolean);
  const button = $("release-now");
  button.disabled = true;
  $("released").textContent = "Sending ...";
  try {
    const r = await fetch(`api/messages/${shown.id}/release`, { method: "POST", body: JSON.stringify({ recipients: to }) });
    const answer = await r.json();
    const said = (answer.recipients || []).map((p) =>
      `${p.recipient}: ${p.status.replace("_", " ")}${p.code ? ` (${[p.code, p.enhanced, p.text].filter(Boolean).join(" ")})` : ""}`);
    if (answer.error) said.push(answer.error);
    $("released").textContent = said.join("\n");
  } catch {
    $("released").textContent = "No answer: it may have been sent. Is the command still running?";
  }
  button.disabled = false;
}

async function faults(options) {
  const r = await fetch("api/faults", options);
  const answer = await r.json();
  $("fault-said").textContent = answer.error || "";
  if (answer.error) return;
  const now = answer.faults;
  $("faults").textContent = now.length ? `Faults ${now.length}` : "Faults";
  $("faults-now").replaceChildren(...table(now.map((f) =>
    [f.fault, f.happened ? `happened ${f.happened} time${f.happened === 1 ? "" : "s"}` : "has not happened"])).childNodes);
  if (options && options.method === "POST") $("fault").value = "";
}

function step(by) {
  const now = list.querySelector("[aria-current]");
  const next = !now ? list.querySelector("a") : by > 0 ? now.nextElementSibling : now.previousElementSibling;
  if (next && next.dataset.id) location.hash = next.dataset.id;
}

$("phone").onclick = () => width("phone");
$("desk").onclick = () => width("desk");
$("remote").onclick = () => frame(true);
$("delete").onclick = remove;
$("release").onclick = askRelease;
$("release-now").onclick = release;
$("release-end").onclick = () => $("releasing").close();
$("back").onclick = () => { location.hash = ""; };
$("clear").onclick = () => { if (confirm("Delete all messages?")) api("", { method: "DELETE" }); };
$("faults").onclick = () => { $("failing").showModal(); faults(); };
$("faults-end").onclick = () => $("failing").close();
$("faults-clear").onclick = () => faults({ method: "DELETE" });
$("fault-add").onclick = () => faults({ method: "POST", body: JSON.stringify({ fault: $("fault").value }) });
$("fault").onkeydown = (e) => { if (e.key === "Enter") $("fault-add").click(); };
$("fault-ready").onchange = (e) => { $("fault").value = e.target.value; e.target.value = ""; };
$("theme").onclick = () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it is not kept then */ }
};
try { const t = localStorage.getItem("theme"); if (t === "dark" || t === "light") document.documentElement.dataset.theme = t; } catch { /* the system's */ }
addEventListener("hashchange", open);
addEventListener("keydown", (e) => {
  if (document.querySelector("dialog[open]")) return;
  if (e.key === "Escape") { if (document.activeElement === search) search.blur(); else location.hash = ""; return; }
  if (e.ctrlKey || e.metaKey || e.altKey || document.activeElement === search) return;
  if (e.key === "j" || e.key === "ArrowDown") step(1);
  else if (e.key === "k" || e.key === "ArrowUp") step(-1);
  else if (e.key === "/") search.focus();
  else if (e.key === "d") remove();
  else if (e.key === "r") askRelease();
  else if (shown && TABS[e.key - 1] && !$("tabs").children[e.key - 1].disabled) show(TABS[e.key - 1]);
  else return;
  e.preventDefault();
});
fetch("api/able").then((r) => r.json()).then((able) => {
  $("release").hidden = !able.relay;
  $("relay").textContent = able.relay || "";
});
faults();
load(true);
listen();
open();
