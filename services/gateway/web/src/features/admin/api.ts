/** The administration's lists, which go on part by part. */
import { api } from "../../api/api";
import { serialize } from "../../api/base";
import type {
  AuditPage,
  DeliveryState,
  InvitationState,
  PageAccessRequest,
  PageApiClient,
  PageInvitation,
  PageMember,
  PageWebhookDelivery,
  RequestState,
} from "../../api/generated";
import type { Filters } from "./audit/filters";

interface Part {
  next?: string | null;
}

const LIMIT = 100;

/** An infinite query's options: the API's cursors, whatever the list. */
const onwards = {
  initialPageParam: null as string | null,
  getNextPageParam: ({ next }: Part) => next ?? undefined,
};
const part = (path: string, filters: object, cursor: string | null) =>
  `/api/v1/${path}?${serialize({ ...filters, cursor, limit: LIMIT })}`;

export const adminApi = api.injectEndpoints({
  endpoints: (build) => ({
    accessRequests: build.infiniteQuery<PageAccessRequest, { status?: RequestState }, string | null>({
      infiniteQueryOptions: onwards,
      query: ({ queryArg, pageParam }) => part("access-requests", queryArg, pageParam),
      providesTags: ["coming in"],
    }),
    invitations: build.infiniteQuery<PageInvitation, { status?: InvitationState }, string | null>({
      infiniteQueryOptions: onwards,
      query: ({ queryArg, pageParam }) => part("invitations", queryArg, pageParam),
      providesTags: ["coming in"],
    }),
    members: build.infiniteQuery<PageMember, void, string | null>({
      infiniteQueryOptions: onwards,
      query: ({ pageParam }) => part("members", {}, pageParam),
      providesTags: ["administration"],
    }),
    apiClients: build.infiniteQuery<PageApiClient, void, string | null>({
      infiniteQueryOptions: onwards,
      query: ({ pageParam }) => part("api-clients", {}, pageParam),
      providesTags: ["administration"],
    }),
    webhookDeliveries: build.infiniteQuery<
      PageWebhookDelivery,
      { webhookId: string; state?: DeliveryState },
      string | null
    >({
      infiniteQueryOptions: onwards,
      query: ({ queryArg: { webhookId, ...filters }, pageParam }) =>
        part(`webhooks/${encodeURIComponent(webhookId)}/deliveries`, filters, pageParam),
      providesTags: ["webhooks"],
    }),
    auditEvents: build.infiniteQuery<AuditPage, Filters, string | null>({
      infiniteQueryOptions: onwards,
      query: ({ queryArg, pageParam }) => part("audit-events", queryArg, pageParam),
      providesTags: ["audit"],
    }),
  }),
});

export const {
  useAccessRequestsInfiniteQuery,
  useInvitationsInfiniteQuery,
  useMembersInfiniteQuery,
  useApiClientsInfiniteQuery,
  useWebhookDeliveriesInfiniteQuery,
  useAuditEventsInfiniteQuery,
} = adminApi;
