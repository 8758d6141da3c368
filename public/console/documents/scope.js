// Addresses of a tenant's documents.

/** Add the tenant to a path; "" is the caller's own. */
export function withTenant(path, tenant) {
  if (!tenant) return path;
  return `${path}${path.includes("?") ? "&" : "?"}tenant=${encodeURIComponent(tenant)}`;
}
