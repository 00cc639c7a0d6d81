import { base as api } from "./base";
export const addTagTypes = [
  "live",
  "platform",
  "access",
  "second factors",
  "coming in",
  "administration",
  "mail",
  "audit",
  "webhooks",
  "uploads",
  "identities",
  "exports",
  "studies",
  "ingest",
  "destinations",
  "analyses",
  "feedback",
  "models",
  "views",
  "notes",
  "analytics",
] as const;
const injectedRtkApi = api
  .enhanceEndpoints({
    addTagTypes,
  })
  .injectEndpoints({
    endpoints: (build) => ({
      createLiveTicket: build.mutation<
        CreateLiveTicketApiResponse,
        CreateLiveTicketApiArg
      >({
        query: () => ({ url: `/api/v1/live/ticket`, method: "POST" }),
        invalidatesTags: ["live"],
      }),
      getPlatformHealth: build.query<
        GetPlatformHealthApiResponse,
        GetPlatformHealthApiArg
      >({
        query: () => ({ url: `/api/v1/platform/health` }),
        providesTags: ["platform"],
      }),
      listDeadLetters: build.query<
        ListDeadLettersApiResponse,
        ListDeadLettersApiArg
      >({
        query: () => ({ url: `/api/v1/platform/dead-letters` }),
        providesTags: ["platform"],
      }),
      redeliverDeadLetter: build.mutation<
        RedeliverDeadLetterApiResponse,
        RedeliverDeadLetterApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/platform/dead-letters/${encodeURIComponent(String(queryArg.eventId))}/redeliver`,
          method: "POST",
          params: {
            queue: queryArg.queue,
          },
        }),
        invalidatesTags: ["platform"],
      }),
      listRecentErrors: build.query<
        ListRecentErrorsApiResponse,
        ListRecentErrorsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/platform/errors`,
          params: {
            limit: queryArg.limit,
          },
        }),
        providesTags: ["platform"],
      }),
      getFacility: build.query<GetFacilityApiResponse, GetFacilityApiArg>({
        query: () => ({ url: `/api/v1/facility` }),
        providesTags: ["access"],
      }),
      logIn: build.mutation<LogInApiResponse, LogInApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/login`,
          method: "POST",
          body: queryArg.login,
        }),
        invalidatesTags: ["access"],
      }),
      giveSecondFactor: build.mutation<
        GiveSecondFactorApiResponse,
        GiveSecondFactorApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/mfa`,
          method: "POST",
          body: queryArg.mfa,
        }),
        invalidatesTags: ["access"],
      }),
      enrolTotp: build.mutation<EnrolTotpApiResponse, EnrolTotpApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/totp/enrol`,
          method: "POST",
          body: queryArg.enrol,
        }),
        invalidatesTags: ["access"],
      }),
      confirmTotp: build.mutation<ConfirmTotpApiResponse, ConfirmTotpApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/totp/confirm`,
          method: "POST",
          body: queryArg.confirm,
        }),
        invalidatesTags: ["access"],
      }),
      askToEnrolPasskey: build.mutation<
        AskToEnrolPasskeyApiResponse,
        AskToEnrolPasskeyApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/passkeys/enrol/options`,
          method: "POST",
          body: queryArg.enrol,
        }),
        invalidatesTags: ["access"],
      }),
      enrolPasskey: build.mutation<EnrolPasskeyApiResponse, EnrolPasskeyApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/auth/passkeys/enrol`,
            method: "POST",
            body: queryArg.passkeyEnrolment,
          }),
          invalidatesTags: ["access"],
        },
      ),
      askForPasskey: build.mutation<
        AskForPasskeyApiResponse,
        AskForPasskeyApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/passkeys/login/options`,
          method: "POST",
          body: queryArg.passkeyLoginStart,
        }),
        invalidatesTags: ["access"],
      }),
      logInWithPasskey: build.mutation<
        LogInWithPasskeyApiResponse,
        LogInWithPasskeyApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/passkeys/login`,
          method: "POST",
          body: queryArg.passkeyLogin,
        }),
        invalidatesTags: ["access"],
      }),
      refresh: build.mutation<RefreshApiResponse, RefreshApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/refresh`,
          method: "POST",
          body: queryArg.refresh,
        }),
        invalidatesTags: ["access"],
      }),
      logOut: build.mutation<LogOutApiResponse, LogOutApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/logout`,
          method: "POST",
          body: queryArg.refresh,
        }),
        invalidatesTags: ["access"],
      }),
      getMe: build.query<GetMeApiResponse, GetMeApiArg>({
        query: () => ({ url: `/api/v1/auth/me` }),
        providesTags: ["access"],
      }),
      listSessions: build.query<ListSessionsApiResponse, ListSessionsApiArg>({
        query: () => ({ url: `/api/v1/auth/sessions` }),
        providesTags: ["access"],
      }),
      endSessions: build.mutation<EndSessionsApiResponse, EndSessionsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/sessions`,
          method: "DELETE",
          params: {
            others: queryArg.others,
          },
        }),
        invalidatesTags: ["access"],
      }),
      endSession: build.mutation<EndSessionApiResponse, EndSessionApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/sessions/${encodeURIComponent(String(queryArg.sessionId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["access"],
      }),
      listFactors: build.query<ListFactorsApiResponse, ListFactorsApiArg>({
        query: () => ({ url: `/api/v1/auth/factors` }),
        providesTags: ["second factors"],
      }),
      renameFactor: build.mutation<RenameFactorApiResponse, RenameFactorApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/auth/factors/${encodeURIComponent(String(queryArg.factorId))}`,
            method: "PATCH",
            body: queryArg.factorChange,
          }),
          invalidatesTags: ["second factors"],
        },
      ),
      removeFactor: build.mutation<RemoveFactorApiResponse, RemoveFactorApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/auth/factors/${encodeURIComponent(String(queryArg.factorId))}`,
            method: "DELETE",
          }),
          invalidatesTags: ["second factors"],
        },
      ),
      startTotp: build.mutation<StartTotpApiResponse, StartTotpApiArg>({
        query: () => ({ url: `/api/v1/auth/factors/totp`, method: "POST" }),
        invalidatesTags: ["second factors"],
      }),
      addTotp: build.mutation<AddTotpApiResponse, AddTotpApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/factors/totp/confirm`,
          method: "POST",
          body: queryArg.furtherConfirm,
        }),
        invalidatesTags: ["second factors"],
      }),
      askForNewPasskey: build.mutation<
        AskForNewPasskeyApiResponse,
        AskForNewPasskeyApiArg
      >({
        query: () => ({ url: `/api/v1/auth/passkeys/options`, method: "POST" }),
        invalidatesTags: ["second factors"],
      }),
      addPasskey: build.mutation<AddPasskeyApiResponse, AddPasskeyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/passkeys`,
          method: "POST",
          body: queryArg.newPasskey,
        }),
        invalidatesTags: ["second factors"],
      }),
      renewRecoveryCodes: build.mutation<
        RenewRecoveryCodesApiResponse,
        RenewRecoveryCodesApiArg
      >({
        query: () => ({ url: `/api/v1/auth/recovery-codes`, method: "POST" }),
        invalidatesTags: ["second factors"],
      }),
      askToStepUp: build.mutation<AskToStepUpApiResponse, AskToStepUpApiArg>({
        query: () => ({ url: `/api/v1/auth/step-up/options`, method: "POST" }),
        invalidatesTags: ["second factors"],
      }),
      prove: build.mutation<ProveApiResponse, ProveApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/step-up`,
          method: "POST",
          body: queryArg.body,
        }),
        invalidatesTags: ["second factors"],
      }),
      askForAccess: build.mutation<AskForAccessApiResponse, AskForAccessApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/access-requests`,
            method: "POST",
            body: queryArg.newAccessRequest,
          }),
          invalidatesTags: ["coming in"],
        },
      ),
      listAccessRequests: build.query<
        ListAccessRequestsApiResponse,
        ListAccessRequestsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/access-requests`,
          params: {
            status: queryArg.status,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["coming in"],
      }),
      confirmAccessRequest: build.mutation<
        ConfirmAccessRequestApiResponse,
        ConfirmAccessRequestApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/access-requests/confirm`,
          method: "POST",
          body: queryArg.linkToken,
        }),
        invalidatesTags: ["coming in"],
      }),
      approveAccessRequest: build.mutation<
        ApproveAccessRequestApiResponse,
        ApproveAccessRequestApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/access-requests/${encodeURIComponent(String(queryArg.requestId))}/approve`,
          method: "POST",
          body: queryArg.approval,
        }),
        invalidatesTags: ["coming in"],
      }),
      rejectAccessRequest: build.mutation<
        RejectAccessRequestApiResponse,
        RejectAccessRequestApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/access-requests/${encodeURIComponent(String(queryArg.requestId))}/reject`,
          method: "POST",
          body: queryArg.rejection,
        }),
        invalidatesTags: ["coming in"],
      }),
      invite: build.mutation<InviteApiResponse, InviteApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/invitations`,
          method: "POST",
          body: queryArg.body,
        }),
        invalidatesTags: ["coming in"],
      }),
      listInvitations: build.query<
        ListInvitationsApiResponse,
        ListInvitationsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/invitations`,
          params: {
            status: queryArg.status,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["coming in"],
      }),
      acceptInvitation: build.mutation<
        AcceptInvitationApiResponse,
        AcceptInvitationApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/invitations/accept`,
          method: "POST",
          body: queryArg.acceptance,
        }),
        invalidatesTags: ["coming in"],
      }),
      resendInvitation: build.mutation<
        ResendInvitationApiResponse,
        ResendInvitationApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/invitations/${encodeURIComponent(String(queryArg.invitationId))}/resend`,
          method: "POST",
        }),
        invalidatesTags: ["coming in"],
      }),
      revokeInvitation: build.mutation<
        RevokeInvitationApiResponse,
        RevokeInvitationApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/invitations/${encodeURIComponent(String(queryArg.invitationId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["coming in"],
      }),
      getTerms: build.query<GetTermsApiResponse, GetTermsApiArg>({
        query: () => ({ url: `/api/v1/terms` }),
        providesTags: ["coming in"],
      }),
      publishTerms: build.mutation<PublishTermsApiResponse, PublishTermsApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/terms`,
            method: "POST",
            body: queryArg.newTerms,
          }),
          invalidatesTags: ["coming in"],
        },
      ),
      getOldTerms: build.query<GetOldTermsApiResponse, GetOldTermsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/terms/${encodeURIComponent(String(queryArg.version))}`,
        }),
        providesTags: ["coming in"],
      }),
      agreeToTerms: build.mutation<AgreeToTermsApiResponse, AgreeToTermsApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/auth/terms`,
            method: "POST",
            body: queryArg.termsVersion,
          }),
          invalidatesTags: ["coming in"],
        },
      ),
      changePassword: build.mutation<
        ChangePasswordApiResponse,
        ChangePasswordApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/password`,
          method: "POST",
          body: queryArg.passwordChange,
        }),
        invalidatesTags: ["coming in"],
      }),
      askForPasswordReset: build.mutation<
        AskForPasswordResetApiResponse,
        AskForPasswordResetApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/password-reset`,
          method: "POST",
          body: queryArg.resetWish,
        }),
        invalidatesTags: ["coming in"],
      }),
      resetPassword: build.mutation<
        ResetPasswordApiResponse,
        ResetPasswordApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/password-reset/confirm`,
          method: "POST",
          body: queryArg.reset,
        }),
        invalidatesTags: ["coming in"],
      }),
      listFacilities: build.query<
        ListFacilitiesApiResponse,
        ListFacilitiesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/facilities`,
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["administration"],
      }),
      openFacility: build.mutation<OpenFacilityApiResponse, OpenFacilityApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/facilities`,
            method: "POST",
            body: queryArg.newFacility,
          }),
          invalidatesTags: ["administration"],
        },
      ),
      getOneFacility: build.query<
        GetOneFacilityApiResponse,
        GetOneFacilityApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/facilities/${encodeURIComponent(String(queryArg.facilityId))}`,
        }),
        providesTags: ["administration"],
      }),
      changeFacility: build.mutation<
        ChangeFacilityApiResponse,
        ChangeFacilityApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/facilities/${encodeURIComponent(String(queryArg.facilityId))}`,
          method: "PATCH",
          body: queryArg.facilityChange,
        }),
        invalidatesTags: ["administration"],
      }),
      inviteFirstAdmin: build.mutation<
        InviteFirstAdminApiResponse,
        InviteFirstAdminApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/facilities/${encodeURIComponent(String(queryArg.facilityId))}/invitations`,
          method: "POST",
          body: queryArg.firstAdmin,
        }),
        invalidatesTags: ["administration"],
      }),
      getChecklistOf: build.query<
        GetChecklistOfApiResponse,
        GetChecklistOfApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/facilities/${encodeURIComponent(String(queryArg.facilityId))}/checklist`,
        }),
        providesTags: ["administration"],
      }),
      getChecklist: build.query<GetChecklistApiResponse, GetChecklistApiArg>({
        query: () => ({ url: `/api/v1/facility/checklist` }),
        providesTags: ["administration"],
      }),
      listAccessSteps: build.query<
        ListAccessStepsApiResponse,
        ListAccessStepsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/access-steps`,
          params: {
            by_role: queryArg.byRole,
            about_id: queryArg.aboutId,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["administration"],
      }),
      listMembers: build.query<ListMembersApiResponse, ListMembersApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/members`,
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["administration"],
      }),
      changeMember: build.mutation<ChangeMemberApiResponse, ChangeMemberApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/members/${encodeURIComponent(String(queryArg.memberId))}`,
            method: "PATCH",
            body: queryArg.memberChange,
          }),
          invalidatesTags: ["administration"],
        },
      ),
      removeMember: build.mutation<RemoveMemberApiResponse, RemoveMemberApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/members/${encodeURIComponent(String(queryArg.memberId))}`,
            method: "DELETE",
          }),
          invalidatesTags: ["administration"],
        },
      ),
      endMemberSessions: build.mutation<
        EndMemberSessionsApiResponse,
        EndMemberSessionsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/members/${encodeURIComponent(String(queryArg.memberId))}/sessions`,
          method: "DELETE",
        }),
        invalidatesTags: ["administration"],
      }),
      resetFactors: build.mutation<ResetFactorsApiResponse, ResetFactorsApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/members/${encodeURIComponent(String(queryArg.memberId))}/reset-factors`,
            method: "POST",
            body: queryArg.factorReset,
          }),
          invalidatesTags: ["administration"],
        },
      ),
      listApiClients: build.query<
        ListApiClientsApiResponse,
        ListApiClientsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/api-clients`,
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["administration"],
      }),
      createApiClient: build.mutation<
        CreateApiClientApiResponse,
        CreateApiClientApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/api-clients`,
          method: "POST",
          body: queryArg.newApiClient,
        }),
        invalidatesTags: ["administration"],
      }),
      rotateApiClient: build.mutation<
        RotateApiClientApiResponse,
        RotateApiClientApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/api-clients/${encodeURIComponent(String(queryArg.clientId))}/rotate`,
          method: "POST",
          body: queryArg.rotation,
        }),
        invalidatesTags: ["administration"],
      }),
      changeApiClient: build.mutation<
        ChangeApiClientApiResponse,
        ChangeApiClientApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/api-clients/${encodeURIComponent(String(queryArg.clientId))}`,
          method: "PATCH",
          body: queryArg.apiClientChange,
        }),
        invalidatesTags: ["administration"],
      }),
      revokeApiClient: build.mutation<
        RevokeApiClientApiResponse,
        RevokeApiClientApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/api-clients/${encodeURIComponent(String(queryArg.clientId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["administration"],
      }),
      getMailPreferences: build.query<
        GetMailPreferencesApiResponse,
        GetMailPreferencesApiArg
      >({
        query: () => ({ url: `/api/v1/auth/mail-preferences` }),
        providesTags: ["mail"],
      }),
      putMailPreferences: build.mutation<
        PutMailPreferencesApiResponse,
        PutMailPreferencesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/auth/mail-preferences`,
          method: "PUT",
          body: queryArg.mailPreferences,
        }),
        invalidatesTags: ["mail"],
      }),
      unsubscribe: build.mutation<UnsubscribeApiResponse, UnsubscribeApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/auth/mail-preferences/unsubscribe/${encodeURIComponent(String(queryArg.token))}`,
          method: "POST",
        }),
        invalidatesTags: ["mail"],
      }),
      listMails: build.query<ListMailsApiResponse, ListMailsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/mails`,
          params: {
            state: queryArg.state,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["mail"],
      }),
      listUndeliverableAddresses: build.query<
        ListUndeliverableAddressesApiResponse,
        ListUndeliverableAddressesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/undeliverable-addresses`,
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["mail"],
      }),
      clearUndeliverableAddress: build.mutation<
        ClearUndeliverableAddressApiResponse,
        ClearUndeliverableAddressApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/undeliverable-addresses/${encodeURIComponent(String(queryArg.addressId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["mail"],
      }),
      listAuditEvents: build.query<
        ListAuditEventsApiResponse,
        ListAuditEventsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/audit-events`,
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
            from: queryArg["from"],
            to: queryArg.to,
            subject: queryArg.subject,
            action: queryArg.action,
            outcome: queryArg.outcome,
            study: queryArg.study,
            target: queryArg.target,
            service: queryArg.service,
            format: queryArg.format,
          },
        }),
        providesTags: ["audit"],
      }),
      getAuditChain: build.query<GetAuditChainApiResponse, GetAuditChainApiArg>(
        {
          query: () => ({ url: `/api/v1/audit-events/chain` }),
          providesTags: ["audit"],
        },
      ),
      listWebhooks: build.query<ListWebhooksApiResponse, ListWebhooksApiArg>({
        query: () => ({ url: `/api/v1/webhooks` }),
        providesTags: ["webhooks"],
      }),
      addWebhook: build.mutation<AddWebhookApiResponse, AddWebhookApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/webhooks`,
          method: "POST",
          body: queryArg.newWebhook,
        }),
        invalidatesTags: ["webhooks"],
      }),
      getWebhook: build.query<GetWebhookApiResponse, GetWebhookApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}`,
        }),
        providesTags: ["webhooks"],
      }),
      changeWebhook: build.mutation<
        ChangeWebhookApiResponse,
        ChangeWebhookApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}`,
          method: "PATCH",
          body: queryArg.webhookChange,
        }),
        invalidatesTags: ["webhooks"],
      }),
      removeWebhook: build.mutation<
        RemoveWebhookApiResponse,
        RemoveWebhookApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["webhooks"],
      }),
      renewWebhookSecret: build.mutation<
        RenewWebhookSecretApiResponse,
        RenewWebhookSecretApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}/secret`,
          method: "POST",
        }),
        invalidatesTags: ["webhooks"],
      }),
      testWebhook: build.mutation<TestWebhookApiResponse, TestWebhookApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}/test`,
          method: "POST",
        }),
        invalidatesTags: ["webhooks"],
      }),
      listWebhookDeliveries: build.query<
        ListWebhookDeliveriesApiResponse,
        ListWebhookDeliveriesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}/deliveries`,
          params: {
            state: queryArg.state,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["webhooks"],
      }),
      redeliverWebhook: build.mutation<
        RedeliverWebhookApiResponse,
        RedeliverWebhookApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${encodeURIComponent(String(queryArg.webhookId))}/deliveries/${encodeURIComponent(String(queryArg.deliveryId))}/redeliver`,
          method: "POST",
        }),
        invalidatesTags: ["webhooks"],
      }),
      openUpload: build.mutation<OpenUploadApiResponse, OpenUploadApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/uploads`,
          method: "POST",
          body: queryArg.uploadRequest,
          headers: {
            "idempotency-key": queryArg["idempotency-key"],
          },
        }),
        invalidatesTags: ["uploads"],
      }),
      renewUpload: build.mutation<RenewUploadApiResponse, RenewUploadApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/uploads/${encodeURIComponent(String(queryArg.uploadId))}/renew`,
          method: "POST",
        }),
        invalidatesTags: ["uploads"],
      }),
      completeUpload: build.mutation<
        CompleteUploadApiResponse,
        CompleteUploadApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/uploads/${encodeURIComponent(String(queryArg.uploadId))}/complete`,
          method: "POST",
          body: queryArg.claim,
        }),
        invalidatesTags: ["uploads"],
      }),
      getUpload: build.query<GetUploadApiResponse, GetUploadApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/uploads/${encodeURIComponent(String(queryArg.uploadId))}`,
        }),
        providesTags: ["uploads"],
      }),
      getReference: build.query<GetReferenceApiResponse, GetReferenceApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/uploads/${encodeURIComponent(String(queryArg.uploadId))}/reference`,
        }),
        providesTags: ["identities"],
      }),
      getReport: build.query<GetReportApiResponse, GetReportApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/uploads/${encodeURIComponent(String(queryArg.uploadId))}/files/${encodeURIComponent(String(queryArg["number"]))}/report`,
        }),
        providesTags: ["identities"],
      }),
      listIdentities: build.mutation<
        ListIdentitiesApiResponse,
        ListIdentitiesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/studies/identities`,
          method: "POST",
          body: queryArg.identitiesRequest,
        }),
        invalidatesTags: ["identities"],
      }),
      findStudies: build.mutation<FindStudiesApiResponse, FindStudiesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies/find`,
          method: "POST",
          body: queryArg.findRequest,
        }),
        invalidatesTags: ["identities"],
      }),
      getIdentity: build.query<GetIdentityApiResponse, GetIdentityApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies/${encodeURIComponent(String(queryArg.studyId))}/identity`,
        }),
        providesTags: ["identities"],
      }),
      exportStudies: build.query<ExportStudiesApiResponse, ExportStudiesApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/studies/export`,
            params: {
              format: queryArg.format,
              from: queryArg["from"],
              to: queryArg.to,
              patient_id: queryArg.patientId,
              identities: queryArg.identities,
            },
          }),
          providesTags: ["exports"],
        },
      ),
      exportStudy: build.query<ExportStudyApiResponse, ExportStudyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies/${encodeURIComponent(String(queryArg.studyId))}/export`,
          params: {
            view: queryArg.view,
          },
        }),
        providesTags: ["exports"],
      }),
      listStudies: build.query<ListStudiesApiResponse, ListStudiesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies`,
          params: {
            patient_id: queryArg.patientId,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["studies"],
      }),
      getStudy: build.query<GetStudyApiResponse, GetStudyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies/${encodeURIComponent(String(queryArg.studyId))}`,
        }),
        providesTags: ["studies"],
      }),
      eraseStudy: build.mutation<EraseStudyApiResponse, EraseStudyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies/${encodeURIComponent(String(queryArg.studyId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["studies"],
      }),
      holdStudy: build.mutation<HoldStudyApiResponse, HoldStudyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/studies/${encodeURIComponent(String(queryArg.studyId))}/legal-hold`,
          method: "PUT",
        }),
        invalidatesTags: ["studies"],
      }),
      releaseStudy: build.mutation<ReleaseStudyApiResponse, ReleaseStudyApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/studies/${encodeURIComponent(String(queryArg.studyId))}/legal-hold`,
            method: "DELETE",
          }),
          invalidatesTags: ["studies"],
        },
      ),
      getIngestSettings: build.query<
        GetIngestSettingsApiResponse,
        GetIngestSettingsApiArg
      >({
        query: () => ({ url: `/api/v1/ingest/settings` }),
        providesTags: ["ingest"],
      }),
      changeIngestSettings: build.mutation<
        ChangeIngestSettingsApiResponse,
        ChangeIngestSettingsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/settings`,
          method: "PATCH",
          body: queryArg.settingsPatch,
        }),
        invalidatesTags: ["ingest"],
      }),
      forgetIdentities: build.mutation<
        ForgetIdentitiesApiResponse,
        ForgetIdentitiesApiArg
      >({
        query: () => ({ url: `/api/v1/ingest/forget`, method: "POST" }),
        invalidatesTags: ["ingest"],
      }),
      getUsage: build.query<GetUsageApiResponse, GetUsageApiArg>({
        query: () => ({ url: `/api/v1/ingest/usage` }),
        providesTags: ["ingest"],
      }),
      listDestinations: build.query<
        ListDestinationsApiResponse,
        ListDestinationsApiArg
      >({
        query: () => ({ url: `/api/v1/ingest/destinations` }),
        providesTags: ["destinations"],
      }),
      addDestination: build.mutation<
        AddDestinationApiResponse,
        AddDestinationApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/destinations`,
          method: "POST",
          body: queryArg.destinationIn,
        }),
        invalidatesTags: ["destinations"],
      }),
      switchDestination: build.mutation<
        SwitchDestinationApiResponse,
        SwitchDestinationApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/destinations/${encodeURIComponent(String(queryArg.destinationId))}`,
          method: "PATCH",
          body: queryArg.switch,
        }),
        invalidatesTags: ["destinations"],
      }),
      removeDestination: build.mutation<
        RemoveDestinationApiResponse,
        RemoveDestinationApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/destinations/${encodeURIComponent(String(queryArg.destinationId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["destinations"],
      }),
      retryDeliveries: build.mutation<
        RetryDeliveriesApiResponse,
        RetryDeliveriesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/destinations/${encodeURIComponent(String(queryArg.destinationId))}/retry`,
          method: "POST",
        }),
        invalidatesTags: ["destinations"],
      }),
      listDeliveries: build.query<
        ListDeliveriesApiResponse,
        ListDeliveriesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/deliveries`,
          params: {
            state: queryArg.state,
            study_id: queryArg.studyId,
            cursor: queryArg.cursor,
          },
        }),
        providesTags: ["destinations"],
      }),
      retryDelivery: build.mutation<
        RetryDeliveryApiResponse,
        RetryDeliveryApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/ingest/deliveries/${encodeURIComponent(String(queryArg.deliveryId))}/retry`,
          method: "POST",
        }),
        invalidatesTags: ["destinations"],
      }),
      listAnalyses: build.query<ListAnalysesApiResponse, ListAnalysesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses`,
          params: {
            q: queryArg.q,
            status: queryArg.status,
            positive: queryArg.positive,
            finding: queryArg.finding,
            feedback: queryArg.feedback,
            study_id: queryArg.studyId,
            upload_id: queryArg.uploadId,
            tag: queryArg.tag,
            folder: queryArg.folder,
            mine: queryArg.mine,
            from: queryArg["from"],
            to: queryArg.to,
            sort: queryArg.sort,
            urgent_first: queryArg.urgentFirst,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["analyses"],
      }),
      createAnalysis: build.mutation<
        CreateAnalysisApiResponse,
        CreateAnalysisApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses`,
          method: "POST",
          body: queryArg.analysisRequest,
        }),
        invalidatesTags: ["analyses"],
      }),
      listFacets: build.query<ListFacetsApiResponse, ListFacetsApiArg>({
        query: () => ({ url: `/api/v1/analyses/facets` }),
        providesTags: ["analyses"],
      }),
      changeAnalyses: build.mutation<
        ChangeAnalysesApiResponse,
        ChangeAnalysesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses/bulk`,
          method: "POST",
          body: queryArg.bulkRequest,
        }),
        invalidatesTags: ["analyses"],
      }),
      getAnalysis: build.query<GetAnalysisApiResponse, GetAnalysisApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}`,
        }),
        providesTags: ["analyses"],
      }),
      changeAnalysis: build.mutation<
        ChangeAnalysisApiResponse,
        ChangeAnalysisApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}`,
          method: "PATCH",
          body: queryArg.analysisChange,
        }),
        invalidatesTags: ["analyses"],
      }),
      deleteAnalysis: build.mutation<
        DeleteAnalysisApiResponse,
        DeleteAnalysisApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["analyses"],
      }),
      rerunAnalysis: build.mutation<
        RerunAnalysisApiResponse,
        RerunAnalysisApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/rerun`,
          method: "POST",
        }),
        invalidatesTags: ["analyses"],
      }),
      cancelAnalysis: build.mutation<
        CancelAnalysisApiResponse,
        CancelAnalysisApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/cancel`,
          method: "POST",
        }),
        invalidatesTags: ["analyses"],
      }),
      listSlices: build.query<ListSlicesApiResponse, ListSlicesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/slices`,
        }),
        providesTags: ["analyses"],
      }),
      drawImage: build.query<DrawImageApiResponse, DrawImageApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/slices/${encodeURIComponent(String(queryArg.n))}/image.png`,
          params: {
            level: queryArg.level,
            width: queryArg.width,
          },
        }),
        providesTags: ["analyses"],
      }),
      getPixels: build.query<GetPixelsApiResponse, GetPixelsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/slices/${encodeURIComponent(String(queryArg.n))}/pixels`,
        }),
        providesTags: ["analyses"],
      }),
      drawHeatmap: build.query<DrawHeatmapApiResponse, DrawHeatmapApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/slices/${encodeURIComponent(String(queryArg.n))}/heatmap.png`,
          params: {
            label: queryArg.label,
            on_slice: queryArg.onSlice,
            level: queryArg.level,
            width: queryArg.width,
          },
        }),
        providesTags: ["analyses"],
      }),
      inferenceGetReport: build.query<
        InferenceGetReportApiResponse,
        InferenceGetReportApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/report.dcm`,
        }),
        providesTags: ["analyses"],
      }),
      getDocument: build.query<GetDocumentApiResponse, GetDocumentApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/documents/${encodeURIComponent(String(queryArg.n))}`,
        }),
        providesTags: ["analyses"],
      }),
      getPdf: build.query<GetPdfApiResponse, GetPdfApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/report.pdf`,
        }),
        providesTags: ["analyses"],
      }),
      getFhir: build.query<GetFhirApiResponse, GetFhirApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/report.fhir.json`,
        }),
        providesTags: ["analyses"],
      }),
      giveFeedback: build.mutation<GiveFeedbackApiResponse, GiveFeedbackApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/feedback`,
            method: "POST",
            body: queryArg.feedbackRequest,
          }),
          invalidatesTags: ["feedback"],
        },
      ),
      getFeedback: build.query<GetFeedbackApiResponse, GetFeedbackApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/feedback`,
        }),
        providesTags: ["feedback"],
      }),
      listFeedback: build.query<ListFeedbackApiResponse, ListFeedbackApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/feedback`,
          params: {
            state: queryArg.state,
            mine: queryArg.mine,
            label: queryArg.label,
            model: queryArg.model,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["feedback"],
      }),
      exportLabels: build.query<ExportLabelsApiResponse, ExportLabelsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/feedback/labels.csv`,
          params: {
            label: queryArg.label,
            model: queryArg.model,
            version: queryArg.version,
            from: queryArg["from"],
            to: queryArg.to,
          },
        }),
        providesTags: ["feedback"],
      }),
      adjudicateFeedback: build.mutation<
        AdjudicateFeedbackApiResponse,
        AdjudicateFeedbackApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/feedback/${encodeURIComponent(String(queryArg.feedbackId))}/adjudicate`,
          method: "POST",
          body: queryArg.said,
        }),
        invalidatesTags: ["feedback"],
      }),
      reopenFeedback: build.mutation<
        ReopenFeedbackApiResponse,
        ReopenFeedbackApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/feedback/${encodeURIComponent(String(queryArg.feedbackId))}/reopen`,
          method: "POST",
        }),
        invalidatesTags: ["feedback"],
      }),
      listModels: build.query<ListModelsApiResponse, ListModelsApiArg>({
        query: () => ({ url: `/api/v1/models` }),
        providesTags: ["models"],
      }),
      registerModel: build.mutation<
        RegisterModelApiResponse,
        RegisterModelApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/models`,
          method: "POST",
          body: queryArg.body,
        }),
        invalidatesTags: ["models"],
      }),
      listRollouts: build.query<ListRolloutsApiResponse, ListRolloutsApiArg>({
        query: () => ({ url: `/api/v1/models/rollouts` }),
        providesTags: ["models"],
      }),
      getModel: build.query<GetModelApiResponse, GetModelApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}`,
        }),
        providesTags: ["models"],
      }),
      changeModel: build.mutation<ChangeModelApiResponse, ChangeModelApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}`,
          method: "PATCH",
          body: queryArg.modelChange,
        }),
        invalidatesTags: ["models"],
      }),
      activateModel: build.mutation<
        ActivateModelApiResponse,
        ActivateModelApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/activate`,
          method: "POST",
          body: queryArg.where,
        }),
        invalidatesTags: ["models"],
      }),
      startShadow: build.mutation<StartShadowApiResponse, StartShadowApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/shadow`,
          method: "POST",
          body: queryArg.where,
        }),
        invalidatesTags: ["models"],
      }),
      endShadow: build.mutation<EndShadowApiResponse, EndShadowApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/shadow`,
          method: "DELETE",
          params: {
            facility_id: queryArg.facilityId,
          },
        }),
        invalidatesTags: ["models"],
      }),
      startCanary: build.mutation<StartCanaryApiResponse, StartCanaryApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/canary`,
          method: "POST",
          body: queryArg.canaryWish,
        }),
        invalidatesTags: ["models"],
      }),
      endCanary: build.mutation<EndCanaryApiResponse, EndCanaryApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/canary`,
          method: "DELETE",
          params: {
            facility_id: queryArg.facilityId,
          },
        }),
        invalidatesTags: ["models"],
      }),
      rollBack: build.mutation<RollBackApiResponse, RollBackApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/rollback`,
          method: "POST",
          body: queryArg.where,
        }),
        invalidatesTags: ["models"],
      }),
      compare: build.query<CompareApiResponse, CompareApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/comparison`,
        }),
        providesTags: ["models"],
      }),
      watchModel: build.query<WatchModelApiResponse, WatchModelApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${encodeURIComponent(String(queryArg.name))}/${encodeURIComponent(String(queryArg.version))}/watch`,
          params: {
            from: queryArg["from"],
            to: queryArg.to,
          },
        }),
        providesTags: ["models"],
      }),
      listViews: build.query<ListViewsApiResponse, ListViewsApiArg>({
        query: () => ({ url: `/api/v1/views` }),
        providesTags: ["views"],
      }),
      createView: build.mutation<CreateViewApiResponse, CreateViewApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/views`,
          method: "POST",
          body: queryArg.viewRequest,
        }),
        invalidatesTags: ["views"],
      }),
      changeView: build.mutation<ChangeViewApiResponse, ChangeViewApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/views/${encodeURIComponent(String(queryArg.viewId))}`,
          method: "PATCH",
          body: queryArg.viewChange,
        }),
        invalidatesTags: ["views"],
      }),
      deleteView: build.mutation<DeleteViewApiResponse, DeleteViewApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/views/${encodeURIComponent(String(queryArg.viewId))}`,
          method: "DELETE",
        }),
        invalidatesTags: ["views"],
      }),
      listNotes: build.query<ListNotesApiResponse, ListNotesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/notes`,
        }),
        providesTags: ["notes"],
      }),
      writeNote: build.mutation<WriteNoteApiResponse, WriteNoteApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/notes`,
          method: "POST",
          body: queryArg.noteRequest,
        }),
        invalidatesTags: ["notes"],
      }),
      takeNoteBack: build.mutation<TakeNoteBackApiResponse, TakeNoteBackApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/analyses/${encodeURIComponent(String(queryArg.analysisId))}/notes/${encodeURIComponent(String(queryArg.noteId))}`,
            method: "DELETE",
          }),
          invalidatesTags: ["notes"],
        },
      ),
      analyticsSummary: build.query<
        AnalyticsSummaryApiResponse,
        AnalyticsSummaryApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analytics/summary`,
          params: {
            from: queryArg["from"],
            to: queryArg.to,
          },
        }),
        providesTags: ["analytics"],
      }),
      analyticsTimeseries: build.query<
        AnalyticsTimeseriesApiResponse,
        AnalyticsTimeseriesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/analytics/timeseries`,
          params: {
            metric: queryArg.metric,
            interval: queryArg.interval,
            by: queryArg.by,
            from: queryArg["from"],
            to: queryArg.to,
            tz: queryArg.tz,
          },
        }),
        providesTags: ["analytics"],
      }),
    }),
    overrideExisting: false,
  });
export { injectedRtkApi as generated };
export type CreateLiveTicketApiResponse =
  /** status 201 Successful Response */ Ticket;
export type CreateLiveTicketApiArg = void;
export type GetPlatformHealthApiResponse =
  /** status 200 Successful Response */ Health;
export type GetPlatformHealthApiArg = void;
export type ListDeadLettersApiResponse =
  /** status 200 Successful Response */ DeadLetters;
export type ListDeadLettersApiArg = void;
export type RedeliverDeadLetterApiResponse = unknown;
export type RedeliverDeadLetterApiArg = {
  /** The event's. */
  eventId: string;
  /** Which of its dead letters; else the oldest. */
  queue?: string;
};
export type ListRecentErrorsApiResponse =
  /** status 200 Successful Response */ Troubles;
export type ListRecentErrorsApiArg = {
  /** How many. */
  limit?: number;
};
export type GetFacilityApiResponse =
  /** status 200 Successful Response */ PublicFacility;
export type GetFacilityApiArg = void;
export type LogInApiResponse = /** status 200 Successful Response */ SecondStep;
export type LogInApiArg = {
  login: LoginWrite;
};
export type GiveSecondFactorApiResponse =
  /** status 200 Successful Response */ Tokens | TokensKept;
export type GiveSecondFactorApiArg = {
  mfa: MfaWrite;
};
export type EnrolTotpApiResponse =
  /** status 200 Successful Response */ Enrolment;
export type EnrolTotpApiArg = {
  enrol: EnrolWrite;
};
export type ConfirmTotpApiResponse =
  /** status 200 Successful Response */ EnrolledTokens | EnrolledTokensKept;
export type ConfirmTotpApiArg = {
  confirm: ConfirmWrite;
};
export type AskToEnrolPasskeyApiResponse =
  /** status 200 Successful Response */ PasskeyOptions;
export type AskToEnrolPasskeyApiArg = {
  enrol: EnrolWrite;
};
export type EnrolPasskeyApiResponse =
  /** status 200 Successful Response */ EnrolledTokens | EnrolledTokensKept;
export type EnrolPasskeyApiArg = {
  passkeyEnrolment: PasskeyEnrolmentWrite;
};
export type AskForPasskeyApiResponse =
  /** status 200 Successful Response */ PasskeyOptions;
export type AskForPasskeyApiArg = {
  passkeyLoginStart: PasskeyLoginStartWrite;
};
export type LogInWithPasskeyApiResponse =
  /** status 200 Successful Response */ Tokens | TokensKept;
export type LogInWithPasskeyApiArg = {
  passkeyLogin: PasskeyLoginWrite;
};
export type RefreshApiResponse =
  /** status 200 Successful Response */ Tokens | TokensKept;
export type RefreshApiArg = {
  /** A page with a cookie sends none. */
  refresh: RefreshWrite;
};
export type LogOutApiResponse = unknown;
export type LogOutApiArg = {
  /** A page with a cookie sends none. */
  refresh: RefreshWrite;
};
export type GetMeApiResponse = /** status 200 Successful Response */ Me;
export type GetMeApiArg = void;
export type ListSessionsApiResponse =
  /** status 200 Successful Response */ PageSessionOut;
export type ListSessionsApiArg = void;
export type EndSessionsApiResponse = unknown;
export type EndSessionsApiArg = {
  /** Keep the one that asks. */
  others?: boolean;
};
export type EndSessionApiResponse = unknown;
export type EndSessionApiArg = {
  sessionId: string;
};
export type ListFactorsApiResponse =
  /** status 200 Successful Response */ Factors;
export type ListFactorsApiArg = void;
export type RenameFactorApiResponse =
  /** status 200 Successful Response */ Factor;
export type RenameFactorApiArg = {
  factorId: string;
  factorChange: FactorChange;
};
export type RemoveFactorApiResponse = unknown;
export type RemoveFactorApiArg = {
  factorId: string;
};
export type StartTotpApiResponse =
  /** status 201 Successful Response */ FurtherEnrolment;
export type StartTotpApiArg = void;
export type AddTotpApiResponse = /** status 201 Successful Response */ Factor;
export type AddTotpApiArg = {
  furtherConfirm: FurtherConfirmWrite;
};
export type AskForNewPasskeyApiResponse =
  /** status 200 Successful Response */ PasskeyOptions;
export type AskForNewPasskeyApiArg = void;
export type AddPasskeyApiResponse =
  /** status 201 Successful Response */ Factor;
export type AddPasskeyApiArg = {
  newPasskey: NewPasskey;
};
export type RenewRecoveryCodesApiResponse =
  /** status 201 Successful Response */ RecoveryCodes;
export type RenewRecoveryCodesApiArg = void;
export type AskToStepUpApiResponse =
  /** status 200 Successful Response */ PasskeyOptions;
export type AskToStepUpApiArg = void;
export type ProveApiResponse =
  /** status 200 Successful Response */ AccessToken | AccessTokenKept;
export type ProveApiArg = {
  body:
    | ({
        method: "totp";
      } & CodeProofWrite)
    | ({
        method: "recovery_code";
      } & CodeProofWrite)
    | ({
        method: "passkey";
      } & PasskeyProof);
};
export type AskForAccessApiResponse = /** status 202 Successful Response */ any;
export type AskForAccessApiArg = {
  newAccessRequest: NewAccessRequest;
};
export type ListAccessRequestsApiResponse =
  /** status 200 Successful Response */ PageAccessRequest;
export type ListAccessRequestsApiArg = {
  status?: RequestState;
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type ConfirmAccessRequestApiResponse =
  /** status 200 Successful Response */ Confirmed;
export type ConfirmAccessRequestApiArg = {
  linkToken: LinkTokenWrite;
};
export type ApproveAccessRequestApiResponse =
  /** status 200 Successful Response */ Invitation;
export type ApproveAccessRequestApiArg = {
  requestId: string;
  approval: Approval;
};
export type RejectAccessRequestApiResponse =
  /** status 200 Successful Response */ AccessRequest;
export type RejectAccessRequestApiArg = {
  requestId: string;
  rejection: Rejection;
};
export type InviteApiResponse =
  /** status 200 Successful Response */ InvitationOutcomes;
export type InviteApiArg = {
  body: NewInvitation | NewInvitation[];
};
export type ListInvitationsApiResponse =
  /** status 200 Successful Response */ PageInvitation;
export type ListInvitationsApiArg = {
  status?: InvitationState;
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type AcceptInvitationApiResponse =
  /** status 200 Successful Response */ EnrolmentToken;
export type AcceptInvitationApiArg = {
  acceptance: AcceptanceWrite;
};
export type ResendInvitationApiResponse =
  /** status 200 Successful Response */ Invitation;
export type ResendInvitationApiArg = {
  invitationId: string;
};
export type RevokeInvitationApiResponse = unknown;
export type RevokeInvitationApiArg = {
  invitationId: string;
};
export type GetTermsApiResponse =
  /** status 200 Successful Response */ TermsOut;
export type GetTermsApiArg = void;
export type PublishTermsApiResponse =
  /** status 201 Successful Response */ TermsOut;
export type PublishTermsApiArg = {
  newTerms: NewTerms;
};
export type GetOldTermsApiResponse =
  /** status 200 Successful Response */ TermsOut;
export type GetOldTermsApiArg = {
  version: number;
};
export type AgreeToTermsApiResponse = unknown;
export type AgreeToTermsApiArg = {
  termsVersion: TermsVersion;
};
export type ChangePasswordApiResponse = unknown;
export type ChangePasswordApiArg = {
  passwordChange: PasswordChangeWrite;
};
export type AskForPasswordResetApiResponse =
  /** status 202 Successful Response */ any;
export type AskForPasswordResetApiArg = {
  resetWish: ResetWish;
};
export type ResetPasswordApiResponse = unknown;
export type ResetPasswordApiArg = {
  reset: ResetWrite;
};
export type ListFacilitiesApiResponse =
  /** status 200 Successful Response */ PageFacility;
export type ListFacilitiesApiArg = {
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type OpenFacilityApiResponse =
  /** status 201 Successful Response */ Facility;
export type OpenFacilityApiArg = {
  newFacility: NewFacility;
};
export type GetOneFacilityApiResponse =
  /** status 200 Successful Response */ Facility;
export type GetOneFacilityApiArg = {
  facilityId: string;
};
export type ChangeFacilityApiResponse =
  /** status 200 Successful Response */ Facility;
export type ChangeFacilityApiArg = {
  facilityId: string;
  facilityChange: FacilityChange;
};
export type InviteFirstAdminApiResponse =
  /** status 201 Successful Response */ Invitation;
export type InviteFirstAdminApiArg = {
  facilityId: string;
  firstAdmin: FirstAdmin;
};
export type GetChecklistOfApiResponse =
  /** status 200 Successful Response */ Checklist;
export type GetChecklistOfApiArg = {
  facilityId: string;
};
export type GetChecklistApiResponse =
  /** status 200 Successful Response */ Checklist;
export type GetChecklistApiArg = void;
export type ListAccessStepsApiResponse =
  /** status 200 Successful Response */ PageStep;
export type ListAccessStepsApiArg = {
  /** For example `operator`. */
  byRole?: string;
  aboutId?: string;
  /** `next` of the part before. */
  cursor?: number;
  limit?: number;
};
export type ListMembersApiResponse =
  /** status 200 Successful Response */ PageMember;
export type ListMembersApiArg = {
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type ChangeMemberApiResponse =
  /** status 200 Successful Response */ Member;
export type ChangeMemberApiArg = {
  memberId: string;
  memberChange: MemberChange;
};
export type RemoveMemberApiResponse = unknown;
export type RemoveMemberApiArg = {
  memberId: string;
};
export type EndMemberSessionsApiResponse = unknown;
export type EndMemberSessionsApiArg = {
  memberId: string;
};
export type ResetFactorsApiResponse = unknown;
export type ResetFactorsApiArg = {
  memberId: string;
  factorReset: FactorReset;
};
export type ListApiClientsApiResponse =
  /** status 200 Successful Response */ PageApiClient;
export type ListApiClientsApiArg = {
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type CreateApiClientApiResponse =
  /** status 201 Successful Response */ ApiClientWithSecret;
export type CreateApiClientApiArg = {
  newApiClient: NewApiClient;
};
export type RotateApiClientApiResponse =
  /** status 200 Successful Response */ ApiClientWithSecret;
export type RotateApiClientApiArg = {
  clientId: string;
  rotation: Rotation;
};
export type ChangeApiClientApiResponse =
  /** status 200 Successful Response */ ApiClient;
export type ChangeApiClientApiArg = {
  clientId: string;
  apiClientChange: ApiClientChange;
};
export type RevokeApiClientApiResponse = unknown;
export type RevokeApiClientApiArg = {
  clientId: string;
};
export type GetMailPreferencesApiResponse =
  /** status 200 Successful Response */ MailPreferences;
export type GetMailPreferencesApiArg = void;
export type PutMailPreferencesApiResponse =
  /** status 200 Successful Response */ MailPreferences;
export type PutMailPreferencesApiArg = {
  mailPreferences: MailPreferences;
};
export type UnsubscribeApiResponse = /** status 200 Successful Response */ any;
export type UnsubscribeApiArg = {
  token: string;
};
export type ListMailsApiResponse =
  /** status 200 Successful Response */ PageMailOut;
export type ListMailsApiArg = {
  state?: MailState;
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type ListUndeliverableAddressesApiResponse =
  /** status 200 Successful Response */ PageUndeliverableAddress;
export type ListUndeliverableAddressesApiArg = {
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type ClearUndeliverableAddressApiResponse = unknown;
export type ClearUndeliverableAddressApiArg = {
  addressId: string;
};
export type ListAuditEventsApiResponse =
  /** status 200 Rows, newest first. */ AuditPage;
export type ListAuditEventsApiArg = {
  /** `next` of the page before; JSON only. */
  cursor?: string;
  /** JSON only: the other forms hold everything. */
  limit?: number;
  /** At that time or later. */
  from?: string;
  /** Before that time. */
  to?: string;
  subject?: string;
  action?: string;
  outcome?: "success" | "refused" | "failure";
  study?: string;
  /** As `analysis/<id>`. */
  target?: string;
  service?: string;
  /** Stronger than `Accept`. */
  format?: Form;
};
export type GetAuditChainApiResponse =
  /** status 200 Successful Response */ AuditState;
export type GetAuditChainApiArg = void;
export type ListWebhooksApiResponse =
  /** status 200 Successful Response */ PageWebhook;
export type ListWebhooksApiArg = void;
export type AddWebhookApiResponse =
  /** status 201 Successful Response */ WebhookWithSecret;
export type AddWebhookApiArg = {
  newWebhook: NewWebhook;
};
export type GetWebhookApiResponse =
  /** status 200 Successful Response */ Webhook;
export type GetWebhookApiArg = {
  webhookId: string;
};
export type ChangeWebhookApiResponse =
  /** status 200 Successful Response */ Webhook;
export type ChangeWebhookApiArg = {
  webhookId: string;
  webhookChange: WebhookChange;
};
export type RemoveWebhookApiResponse = unknown;
export type RemoveWebhookApiArg = {
  webhookId: string;
};
export type RenewWebhookSecretApiResponse =
  /** status 200 Successful Response */ WebhookSecret;
export type RenewWebhookSecretApiArg = {
  webhookId: string;
};
export type TestWebhookApiResponse =
  /** status 202 Successful Response */ WebhookDelivery;
export type TestWebhookApiArg = {
  webhookId: string;
};
export type ListWebhookDeliveriesApiResponse =
  /** status 200 Successful Response */ PageWebhookDelivery;
export type ListWebhookDeliveriesApiArg = {
  webhookId: string;
  state?: DeliveryState;
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type RedeliverWebhookApiResponse =
  /** status 202 Successful Response */ WebhookDelivery;
export type RedeliverWebhookApiArg = {
  webhookId: string;
  deliveryId: string;
};
export type OpenUploadApiResponse =
  /** status 201 Successful Response */ UploadOpenedOut;
export type OpenUploadApiArg = {
  "idempotency-key"?: string;
  uploadRequest: UploadRequest;
};
export type RenewUploadApiResponse =
  /** status 200 Successful Response */ UploadOpenedOut;
export type RenewUploadApiArg = {
  uploadId: string;
};
export type CompleteUploadApiResponse =
  /** status 202 Successful Response */ UploadOut;
export type CompleteUploadApiArg = {
  uploadId: string;
  claim: Claim;
};
export type GetUploadApiResponse =
  /** status 200 Successful Response */ UploadOut;
export type GetUploadApiArg = {
  uploadId: string;
};
export type GetReferenceApiResponse =
  /** status 200 Successful Response */ ReferenceOut;
export type GetReferenceApiArg = {
  uploadId: string;
};
export type GetReportApiResponse =
  /** status 200 Successful Response */ ReportOut;
export type GetReportApiArg = {
  uploadId: string;
  number: number;
};
export type ListIdentitiesApiResponse =
  /** status 200 Successful Response */ IdentitiesOut;
export type ListIdentitiesApiArg = {
  identitiesRequest: IdentitiesRequest;
};
export type FindStudiesApiResponse =
  /** status 200 Successful Response */ FoundOut;
export type FindStudiesApiArg = {
  findRequest: FindRequest;
};
export type GetIdentityApiResponse =
  /** status 200 Successful Response */ IdentityOut;
export type GetIdentityApiArg = {
  studyId: string;
};
export type ExportStudiesApiResponse = /** status 200 The table. */ string;
export type ExportStudiesApiArg = {
  format?: Form2;
  /** Came then or later. */
  from?: string;
  /** Came before. */
  to?: string;
  /** The pseudonym. */
  patientId?: string;
  /** With who they are; needs the right `identity`, audited. */
  identities?: boolean;
};
export type ExportStudyApiResponse = /** status 200 The zip. */ Blob;
export type ExportStudyApiArg = {
  studyId: string;
  view?: View;
};
export type ListStudiesApiResponse =
  /** status 200 Successful Response */ StudyPage;
export type ListStudiesApiArg = {
  /** The pseudonym. */
  patientId?: string;
  /** `next` of the part before. */
  cursor?: string;
  limit?: number;
};
export type GetStudyApiResponse =
  /** status 200 Successful Response */ StudyOut;
export type GetStudyApiArg = {
  studyId: string;
};
export type EraseStudyApiResponse =
  /** status 202 Successful Response */ ErasureOut;
export type EraseStudyApiArg = {
  studyId: string;
};
export type HoldStudyApiResponse =
  /** status 200 Successful Response */ StudyOut;
export type HoldStudyApiArg = {
  studyId: string;
};
export type ReleaseStudyApiResponse =
  /** status 200 Successful Response */ StudyOut;
export type ReleaseStudyApiArg = {
  studyId: string;
};
export type GetIngestSettingsApiResponse =
  /** status 200 Successful Response */ SettingsOut;
export type GetIngestSettingsApiArg = void;
export type ChangeIngestSettingsApiResponse =
  /** status 200 Successful Response */ SettingsOut;
export type ChangeIngestSettingsApiArg = {
  settingsPatch: SettingsPatch;
};
export type ForgetIdentitiesApiResponse =
  /** status 202 Successful Response */ SettingsOut;
export type ForgetIdentitiesApiArg = void;
export type GetUsageApiResponse =
  /** status 200 Successful Response */ UsageOut;
export type GetUsageApiArg = void;
export type ListDestinationsApiResponse =
  /** status 200 Successful Response */ DestinationList;
export type ListDestinationsApiArg = void;
export type AddDestinationApiResponse =
  /** status 201 Successful Response */ DestinationOut;
export type AddDestinationApiArg = {
  destinationIn: DestinationInWrite;
};
export type SwitchDestinationApiResponse =
  /** status 200 Successful Response */ DestinationOut;
export type SwitchDestinationApiArg = {
  destinationId: string;
  switch: Switch;
};
export type RemoveDestinationApiResponse = unknown;
export type RemoveDestinationApiArg = {
  destinationId: string;
};
export type RetryDeliveriesApiResponse =
  /** status 202 Successful Response */ Retried;
export type RetryDeliveriesApiArg = {
  destinationId: string;
};
export type ListDeliveriesApiResponse =
  /** status 200 Successful Response */ DeliveryPage;
export type ListDeliveriesApiArg = {
  state?: DeliveryState;
  studyId?: string;
  cursor?: string;
};
export type RetryDeliveryApiResponse =
  /** status 202 Successful Response */ DeliveryOut;
export type RetryDeliveryApiArg = {
  deliveryId: string;
};
export type ListAnalysesApiResponse =
  /** status 200 Successful Response */ AnalysisPage;
export type ListAnalysesApiArg = {
  /** Words that all occur in model, status, findings, tags, folder or ids. */
  q?: string;
  /** One of these. */
  status?: Status[];
  /** Whether there is a positive finding; `false` asks for results without one. */
  positive?: boolean;
  /** A label that was found positive. */
  finding?: string;
  /** Where readers' feedback on one of its findings stands; `none`: nobody said anything. */
  feedback?: "none" | "undecided" | "agreed" | "waiting" | "adjudicated";
  studyId?: string;
  uploadId?: string;
  tag?: string;
  folder?: string;
  /** Of studies that the asker sent in, or asked for. */
  mine?: boolean;
  /** Created then or later. */
  from?: string;
  /** Created before. */
  to?: string;
  /** By `finished_at`, only finished analyses are listed. */
  sort?: "-created_at" | "created_at" | "-finished_at" | "finished_at";
  /** Urgent ones before all others; each in the order of `sort`. */
  urgentFirst?: boolean;
  /** `next` of the page before, same filters. */
  cursor?: string;
  limit?: number;
};
export type CreateAnalysisApiResponse =
  | /** status 200 It exists already. */ AnalysisOut
  | /** status 201 Successful Response */ AnalysisOut;
export type CreateAnalysisApiArg = {
  analysisRequest: AnalysisRequest;
};
export type ListFacetsApiResponse =
  /** status 200 Successful Response */ Facets;
export type ListFacetsApiArg = void;
export type ChangeAnalysesApiResponse =
  /** status 200 Successful Response */ BulkOut;
export type ChangeAnalysesApiArg = {
  bulkRequest: BulkRequest;
};
export type GetAnalysisApiResponse =
  /** status 200 Successful Response */ AnalysisOut;
export type GetAnalysisApiArg = {
  analysisId: string;
};
export type ChangeAnalysisApiResponse =
  /** status 200 Successful Response */ AnalysisOut;
export type ChangeAnalysisApiArg = {
  analysisId: string;
  analysisChange: AnalysisChange;
};
export type DeleteAnalysisApiResponse = unknown;
export type DeleteAnalysisApiArg = {
  analysisId: string;
};
export type RerunAnalysisApiResponse =
  /** status 202 Successful Response */ AnalysisOut;
export type RerunAnalysisApiArg = {
  analysisId: string;
};
export type CancelAnalysisApiResponse =
  /** status 200 Successful Response */ AnalysisOut;
export type CancelAnalysisApiArg = {
  analysisId: string;
};
export type ListSlicesApiResponse =
  /** status 200 Successful Response */ SliceList;
export type ListSlicesApiArg = {
  analysisId: string;
};
export type DrawImageApiResponse = /** status 200 A PNG. */ Blob;
export type DrawImageApiArg = {
  n: number;
  analysisId: string;
  /** Window level in HU. */
  level?: number;
  /** Window width in HU. */
  width?: number;
};
export type GetPixelsApiResponse =
  /** status 200 HU as int16, little endian, row by row. */ Blob;
export type GetPixelsApiArg = {
  n: number;
  analysisId: string;
};
export type DrawHeatmapApiResponse = /** status 200 A PNG. */ Blob;
export type DrawHeatmapApiArg = {
  n: number;
  analysisId: string;
  /** A label of the model; the first unless named. */
  label?: string;
  /** Laid over the slice, which then shows through; else transparent. */
  onSlice?: boolean;
  /** Window level in HU. */
  level?: number;
  /** Window width in HU. */
  width?: number;
};
export type InferenceGetReportApiResponse =
  /** status 200 A DICOM file. */ Blob;
export type InferenceGetReportApiArg = {
  analysisId: string;
};
export type GetDocumentApiResponse = /** status 200 A DICOM file. */ Blob;
export type GetDocumentApiArg = {
  n: number;
  analysisId: string;
};
export type GetPdfApiResponse = /** status 200 A PDF. */ Blob;
export type GetPdfApiArg = {
  analysisId: string;
};
export type GetFhirApiResponse =
  /** status 200 A FHIR R4 DiagnosticReport. */ Blob;
export type GetFhirApiArg = {
  analysisId: string;
};
export type GiveFeedbackApiResponse =
  /** status 201 Successful Response */ FeedbackGivenOut;
export type GiveFeedbackApiArg = {
  analysisId: string;
  feedbackRequest: FeedbackRequest;
};
export type GetFeedbackApiResponse =
  /** status 200 Successful Response */ FeedbackList;
export type GetFeedbackApiArg = {
  analysisId: string;
};
export type ListFeedbackApiResponse =
  /** status 200 Successful Response */ FeedbackPage;
export type ListFeedbackApiArg = {
  /** `waiting`: the worklist of second readers. */
  state?: FeedbackState;
  /** `decide`: without what one has said something of. */
  mine?: "decide";
  label?: string;
  model?: string;
  /** `next` of the page before, same filters. */
  cursor?: string;
  limit?: number;
};
export type ExportLabelsApiResponse = /** status 200 A CSV table. */ string;
export type ExportLabelsApiArg = {
  /** One label alone, as a table to train on needs it. */
  label?: string;
  /** Only of this model's findings. */
  model?: string;
  /** Only of this version of it. */
  version?: string;
  /** Settled then or later. */
  from?: string;
  /** Settled before. */
  to?: string;
};
export type AdjudicateFeedbackApiResponse =
  /** status 200 Successful Response */ FeedbackOut;
export type AdjudicateFeedbackApiArg = {
  feedbackId: string;
  said: Said;
};
export type ReopenFeedbackApiResponse =
  /** status 200 Successful Response */ FeedbackOut;
export type ReopenFeedbackApiArg = {
  feedbackId: string;
};
export type ListModelsApiResponse =
  /** status 200 Successful Response */ ModelList;
export type ListModelsApiArg = void;
export type RegisterModelApiResponse =
  | /** status 200 It is registered already. */ ModelOut
  | /** status 201 Successful Response */ ModelOut;
export type RegisterModelApiArg = {
  body: {
    /** A zip. */
    bundle: Blob;
  };
};
export type ListRolloutsApiResponse =
  /** status 200 Successful Response */ RolloutList;
export type ListRolloutsApiArg = void;
export type GetModelApiResponse =
  /** status 200 Successful Response */ ModelOut;
export type GetModelApiArg = {
  name: string;
  version: string;
};
export type ChangeModelApiResponse =
  /** status 200 Successful Response */ ModelOut;
export type ChangeModelApiArg = {
  name: string;
  version: string;
  modelChange: ModelChange;
};
export type ActivateModelApiResponse =
  /** status 200 Successful Response */ RolloutOut;
export type ActivateModelApiArg = {
  name: string;
  version: string;
  where: Where;
};
export type StartShadowApiResponse =
  /** status 200 Successful Response */ RolloutOut;
export type StartShadowApiArg = {
  name: string;
  version: string;
  where: Where;
};
export type EndShadowApiResponse = unknown;
export type EndShadowApiArg = {
  name: string;
  version: string;
  /** The facility that it concerns; null: all that have none of their own. */
  facilityId?: string;
};
export type StartCanaryApiResponse =
  /** status 200 Successful Response */ RolloutOut;
export type StartCanaryApiArg = {
  name: string;
  version: string;
  canaryWish: CanaryWish;
};
export type EndCanaryApiResponse = unknown;
export type EndCanaryApiArg = {
  name: string;
  version: string;
  /** The facility that it concerns; null: all that have none of their own. */
  facilityId?: string;
};
export type RollBackApiResponse =
  /** status 200 Successful Response */ RolloutOut;
export type RollBackApiArg = {
  name: string;
  where: Where;
};
export type CompareApiResponse =
  /** status 200 Successful Response */ Comparison;
export type CompareApiArg = {
  name: string;
  version: string;
};
export type WatchModelApiResponse =
  /** status 200 Successful Response */ WatchOut;
export type WatchModelApiArg = {
  name: string;
  version: string;
  /** First day; default: 30 days before `to`. */
  from?: string;
  /** Day after the last; default: tomorrow. */
  to?: string;
};
export type ListViewsApiResponse =
  /** status 200 Successful Response */ ViewList;
export type ListViewsApiArg = void;
export type CreateViewApiResponse =
  /** status 201 Successful Response */ ViewOut;
export type CreateViewApiArg = {
  viewRequest: ViewRequest;
};
export type ChangeViewApiResponse =
  /** status 200 Successful Response */ ViewOut;
export type ChangeViewApiArg = {
  viewId: string;
  viewChange: ViewChange;
};
export type DeleteViewApiResponse = unknown;
export type DeleteViewApiArg = {
  viewId: string;
};
export type ListNotesApiResponse =
  /** status 200 Successful Response */ NoteList;
export type ListNotesApiArg = {
  analysisId: string;
};
export type WriteNoteApiResponse =
  /** status 201 Successful Response */ NoteOut;
export type WriteNoteApiArg = {
  analysisId: string;
  noteRequest: NoteRequest;
};
export type TakeNoteBackApiResponse = unknown;
export type TakeNoteBackApiArg = {
  analysisId: string;
  noteId: string;
};
export type AnalyticsSummaryApiResponse =
  /** status 200 Successful Response */ Summary;
export type AnalyticsSummaryApiArg = {
  /** RFC 3339; the default depends on `to`. */
  from?: string;
  /** RFC 3339, not included; now if not given. */
  to?: string;
};
export type AnalyticsTimeseriesApiResponse =
  /** status 200 Successful Response */ Timeseries;
export type AnalyticsTimeseriesApiArg = {
  metric: Metric;
  interval?: "hour" | "day" | "week" | "month";
  /** What to split by, repeated for a second dimension. `analyses`: model, model_version, state. `findings`: model, model_version, finding, outcome, bin. `probability`: model, model_version, finding, outcome, bin. `turnaround_ms`: model, model_version, stage. `slices`: model, model_version. `cpu_ms`: model, model_version. `gpu_ms`: model, model_version. `bytes_read`: model, model_version. `bytes_written`: model, model_version. `uploads`: state, code. `uploaded_bytes`: state, code. `files`: outcome. `studies`: change. `out_of_distribution`: model, model_version, outcome. `feedback`: model, model_version, finding, outcome. Not split by `state`, `outcome`, `stage`, `change`: only what is completed, positive, total, new counts. */
  by?: Dimension[];
  /** RFC 3339; the default depends on `to`. */
  from?: string;
  /** RFC 3339, not included; now if not given. */
  to?: string;
  /** The time zone that hours, days, weeks and months are cut in. */
  tz?: string;
};
export type Ticket = {
  /** For one socket, within 30 s. */
  ticket: string;
  /** Read state after this, then pass it as `after`: nothing falls in between. */
  cursor: string;
};
export type ProblemBody = {
  type: string;
  title: string;
  status: number;
  detail?: string | null;
  [key: string]: any;
};
export type Fitness = {
  name: string;
  /** `away`: its API doesn't answer at all. */
  state: "ready" | "unready" | "away";
  /** What it needs, and `ok` or what is wrong with it. */
  checks: {
    [key: string]: string;
  };
};
export type QueueOut = {
  name: string;
  /** Of `jobs` the messages are mere wake-ups, and consumers are workers that are free: one that is at work doesn't listen. `events` wait for their consumer. */
  kind: "jobs" | "events" | "dead_letters";
  messages: number;
  consumers: number;
};
export type Health = {
  services: Fitness[];
  /** `away`: what waits in its queues isn't known. */
  broker: "ready" | "away";
  queues: QueueOut[];
};
export type DeadLetter = {
  /** The event's. */
  id: string;
  /** Where it couldn't be applied; null: unknown, so it can't be sent again. */
  queue: string | null;
  /** What the broker says: `rejected`, `delivery_limit`. */
  reason: string | null;
  died_at: string | null;
  /** Null: it is no event of CoDetect's. */
  type: string | null;
  subject: string | null;
  facility_id: string | null;
  happened_at: string | null;
  /** Finds the error in logs and traces. */
  trace_id: string | null;
};
export type DeadLetters = {
  items: DeadLetter[];
  next?: null;
};
export type Trouble = {
  at: string;
  process: string;
  /** In the service's own words, as its log says it. */
  said: string;
  /** The exception's class. */
  kind?: string | null;
  /** Where in our code: module and line. */
  place?: string | null;
  /** Finds it in the logs, as the answer's `x-request-id`. */
  request_id?: string | null;
  /** Finds it in logs and traces; null where none are made. */
  trace_id?: string | null;
  /** Of the event that was being applied. */
  event_id?: string | null;
  /** Of the job that was in hand. */
  job?: string | null;
  facility?: string | null;
};
export type Troubles = {
  items: Trouble[];
  next?: null;
};
export type PublicFacility = {
  slug: string;
  name: string;
  login_methods?: ("password+totp" | "password+passkey" | "passkey")[];
};
export type SecondStep = {
  mfa_token?: string | null;
  methods?: ("totp" | "passkey" | "recovery_code")[] | null;
  enrolment_token?: string | null;
};
export type Login = {
  email: string;
};
export type LoginWrite = {
  email: string;
  password: string;
};
export type Tokens = {
  access_token: string;
  token_type?: string;
  expires_in?: number;
  refresh_token: string;
};
export type TokensKept = {
  expires_in?: number;
};
export type Mfa = {
  method: "totp" | "recovery_code";
};
export type MfaWrite = {
  mfa_token: string;
  method: "totp" | "recovery_code";
  code: string;
};
export type Enrolment = {
  secret: string;
  otpauth_uri: string;
  qr_svg: string;
};
export type Enrol = {};
export type EnrolWrite = {
  enrolment_token: string;
};
export type EnrolledTokens = {
  access_token: string;
  token_type?: string;
  expires_in?: number;
  refresh_token: string;
  recovery_codes: string[];
};
export type EnrolledTokensKept = {
  expires_in?: number;
  recovery_codes: string[];
};
export type Confirm = {};
export type ConfirmWrite = {
  enrolment_token: string;
  code: string;
};
export type PasskeyOptions = {
  public_key: {
    [key: string]: any;
  };
};
export type AttestationResponse = {
  clientDataJSON: string;
  attestationObject: string;
  transports?: string[];
};
export type NewCredential = {
  id: string;
  rawId: string;
  type: "public-key";
  response: AttestationResponse;
};
export type PasskeyEnrolment = {
  credential: NewCredential;
  name?: string;
};
export type PasskeyEnrolmentWrite = {
  enrolment_token: string;
  credential: NewCredential;
  name?: string;
};
export type PasskeyLoginStart = {};
export type PasskeyLoginStartWrite = {
  mfa_token?: string | null;
};
export type AssertionResponse = {
  clientDataJSON: string;
  authenticatorData: string;
  signature: string;
  userHandle?: string | null;
};
export type Credential = {
  id: string;
  rawId: string;
  type: "public-key";
  response: AssertionResponse;
};
export type PasskeyLogin = {
  credential: Credential;
};
export type PasskeyLoginWrite = {
  mfa_token?: string | null;
  credential: Credential;
};
export type Refresh = {};
export type RefreshWrite = {
  refresh_token: string;
};
export type Role = "operator" | "admin" | "member" | "viewer" | "api_client";
export type Me = {
  id: string;
  role: Role;
  name: string;
  email?: string | null;
  scopes?: string[];
  rights?: "identity"[];
  facility: PublicFacility;
  /** The version of the terms to agree to; null: agreed. */
  terms_due?: number | null;
};
export type SessionOut = {
  id: string;
  /** In words, where the browser is known. */
  device: string;
  address: string;
  created_at: string;
  used_at: string;
  expires_at: string;
  current?: boolean;
};
export type PageSessionOut = {
  items: SessionOut[];
  next?: string | null;
};
export type Factor = {
  id: string;
  kind: "totp" | "passkey";
  name: string;
  created_at: string;
  used_at: string | null;
};
export type Factors = {
  items: Factor[];
  next?: null;
  recovery_codes_left: number;
};
export type FactorChange = {
  name: string;
};
export type FurtherEnrolment = {
  secret: string;
  otpauth_uri: string;
  qr_svg: string;
  factor_token: string;
};
export type FurtherConfirm = {
  name?: string | null;
};
export type FurtherConfirmWrite = {
  factor_token: string;
  code: string;
  name?: string | null;
};
export type NewPasskey = {
  credential: NewCredential;
  name?: string;
};
export type RecoveryCodes = {
  recovery_codes: string[];
};
export type AccessToken = {
  access_token: string;
  token_type?: string;
  expires_in?: number;
};
export type AccessTokenKept = {
  expires_in?: number;
};
export type CodeProof = {
  method: "totp" | "recovery_code";
};
export type CodeProofWrite = {
  method: "totp" | "recovery_code";
  code: string;
};
export type PasskeyProof = {
  method: "passkey";
  credential: Credential;
};
export type NewAccessRequest = {
  email: string;
  name: string;
  role?: "admin" | "member" | "viewer";
  reason: string;
};
export type RequestState =
  | "unconfirmed"
  | "confirmed"
  | "approved"
  | "rejected"
  | "expired"
  | "superseded";
export type AccessRequest = {
  id: string;
  email: string;
  name: string;
  role: Role;
  reason: string;
  state: RequestState;
  created_at: string;
  changed_at: string;
  expires_at: string;
};
export type PageAccessRequest = {
  items: AccessRequest[];
  next?: string | null;
};
export type Standing = "waiting" | "invited" | "member";
export type Confirmed = {
  state: Standing;
};
export type LinkToken = {};
export type LinkTokenWrite = {
  token: string;
};
export type InvitationState = "open" | "accepted" | "revoked" | "expired";
export type Invitation = {
  id: string;
  email: string;
  name: string;
  role: Role;
  state: InvitationState;
  sent: number;
  inviter: string;
  request_id: string | null;
  created_at: string;
  changed_at: string;
  expires_at: string;
};
export type Approval = {
  /** A lesser one than was asked for; null: that one. */
  role?: ("admin" | "member" | "viewer") | null;
};
export type Rejection = {
  /** The facility's admins read it with the step, which is kept for good: name nobody in it. */
  reason: string;
};
export type InvitationOutcome = {
  email: string;
  outcome: "invited" | "already_invited" | "already_member" | "refused";
  detail: string | null;
  invitation: Invitation | null;
};
export type InvitationOutcomes = {
  items: InvitationOutcome[];
};
export type NewInvitation = {
  email: string;
  name: string;
  role?: string;
};
export type PageInvitation = {
  items: Invitation[];
  next?: string | null;
};
export type EnrolmentToken = {
  enrolment_token: string;
};
export type Acceptance = {
  terms_version: number;
};
export type AcceptanceWrite = {
  token: string;
  /** 12 to 256 characters, 15 or more are better. */
  password: string;
  terms_version: number;
};
export type TermsOut = {
  version: number;
  text: string;
  published_at: string;
};
export type NewTerms = {
  text: string;
};
export type TermsVersion = {
  version: number;
};
export type PasswordChange = {};
export type PasswordChangeWrite = {
  old: string;
  /** 12 to 256 characters, 15 or more are better. */
  new: string;
};
export type ResetWish = {
  email: string;
};
export type Reset = {};
export type ResetWrite = {
  token: string;
  /** 12 to 256 characters, 15 or more are better. */
  password: string;
};
export type Facility = {
  id: string;
  slug: string;
  name: string;
  status: string;
  mail_domains: string[];
  retention_days: number | null;
  profile: string | null;
  created_at: string;
};
export type PageFacility = {
  items: Facility[];
  next?: string | null;
};
export type FirstAdmin = {
  email: string;
  name: string;
};
export type NewFacility = {
  slug: string;
  name: string;
  mail_domains?: string[];
  /** Its admins may change it; null: for good. */
  retention_days?: number | null;
  /** What becomes of identities; null: `seal`. */
  profile?: ("seal" | "forget") | null;
  /** Is sent an invitation. */
  first_admin?: FirstAdmin | null;
};
export type FacilityChange = {
  name?: string | null;
  mail_domains?: string[] | null;
  status?: ("active" | "suspended") | null;
  /** The facility's admins read it with the step, which is kept for good: name nobody in it. */
  reason?: string | null;
};
export type ChecklistItem = {
  name: string;
  done: boolean;
  todo: string;
};
export type Checklist = {
  ready: boolean;
  items: ChecklistItem[];
};
export type Step = {
  id: number;
  at: string;
  about: string;
  about_id: string;
  step: string;
  was: string | null;
  now: string | null;
  by_id: string | null;
  by_role: string;
  reason: string | null;
};
export type PageStep = {
  items: Step[];
  next?: string | null;
};
export type Member = {
  id: string;
  email: string;
  name: string;
  role: Role;
  rights: "identity"[];
  status: string;
  created_at: string;
};
export type PageMember = {
  items: Member[];
  next?: string | null;
};
export type MemberChange = {
  role?: "admin" | "member" | "viewer";
  rights?: "identity"[];
  status?: "active" | "suspended";
};
export type FactorReset = {
  /** The facility's admins read it with the step, which is kept for good: name nobody in it. */
  reason?: string | null;
};
export type ApiClient = {
  client_id: string;
  name: string;
  scopes: string[];
  owner_id: string | null;
  created_at: string;
  rotated_at: string | null;
  suspended_at: string | null;
  expires_at: string | null;
};
export type PageApiClient = {
  items: ApiClient[];
  next?: string | null;
};
export type ApiClientWithSecret = {
  client_id: string;
  name: string;
  scopes: string[];
  owner_id: string | null;
  created_at: string;
  rotated_at: string | null;
  suspended_at: string | null;
  expires_at: string | null;
  client_secret: string;
};
export type Scope = "read" | "write" | "identity";
export type NewApiClient = {
  name: string;
  scopes?: Scope[];
  /** In a year if not given. */
  expires_at?: string | null;
};
export type Rotation = {
  /** How long the secret of before lasts. */
  grace_hours?: number;
  /** When the new one ends; in a year if not given. */
  expires_at?: string | null;
};
export type ApiClientChange = {
  /** The person who is to own it. */
  owner_id?: string | null;
  /** true: it gets no tokens until it is taken up again. */
  suspended?: boolean | null;
};
export type Choice = "none" | "failures" | "urgent" | "all";
export type MailPreferences = {
  /** urgent: failures, and results of studies sent as urgent; all: failures and all results. */
  analyses: Choice;
  language?: string | null;
};
export type MailState = "queued" | "sent" | "failed" | "bounced";
export type MailOut = {
  id: string;
  kind: string;
  state: MailState;
  /** Why it failed, or why it still waits. */
  error: string | null;
  created_at: string;
  sent_at: string | null;
};
export type PageMailOut = {
  items: MailOut[];
  next?: string | null;
};
export type UndeliverableAddress = {
  id: string;
  address: string;
  reason: string;
  created_at: string;
};
export type PageUndeliverableAddress = {
  items: UndeliverableAddress[];
  next?: string | null;
};
export type AuditEvent = {
  id: string;
  /** Its place in the facility's chain. */
  number: number;
  at: string;
  service: string;
  /** Its number among this service's rows of the facility. */
  service_number: number;
  /** Id of a person or an API client; else `anonymous`, `command`, `platform`, ... */
  subject: string;
  role: string;
  session_id: string | null;
  action: string;
  outcome: string;
  /** What it was done to, as `study/<id>`. */
  target: string | null;
  study_id: string | null;
  address: string | null;
  request_id: string | null;
  detail: {
    [key: string]: any;
  };
  /** SHA-256 over the row and the hash of the row before, in hex. */
  hash: string;
};
export type AuditPage = {
  items: AuditEvent[];
  next?: string | null;
};
export type Form = "json" | "csv" | "ndjson";
export type AuditFinding = {
  service: string;
  kind: string;
  first: number;
  last: number;
  found_at: string;
};
export type AuditState = {
  facility_id: string;
  number: number;
  hash: string | null;
  at: string | null;
  /** Rows that wait for one that is missing. */
  waiting: number;
  findings: AuditFinding[];
};
export type Webhook = {
  id: string;
  url: string;
  types: string[];
  description: string;
  enabled: boolean;
  disabled_reason: string | null;
  failing_since: string | null;
  created_at: string;
};
export type PageWebhook = {
  items: Webhook[];
  next?: string | null;
};
export type WebhookWithSecret = {
  id: string;
  url: string;
  types: string[];
  description: string;
  enabled: boolean;
  disabled_reason: string | null;
  failing_since: string | null;
  created_at: string;
  secret: string;
};
export type NewWebhook = {
  url: string;
  types: (
    | "codetect.analysis.cancelled.v1"
    | "codetect.analysis.completed.v1"
    | "codetect.analysis.failed.v1"
    | "codetect.analysis.queued.v1"
    | "codetect.analysis.started.v1"
    | "codetect.feedback.adjudicated.v1"
    | "codetect.feedback.given.v1"
    | "codetect.feedback.reopened.v1"
    | "codetect.model.drifted.v1"
    | "codetect.study.erased.v1"
    | "codetect.study.received.v1"
    | "codetect.upload.completed.v1"
    | "codetect.upload.imported.v1"
    | "codetect.upload.refused.v1"
  )[];
  description?: string;
};
export type WebhookChange = {
  url?: string;
  types?: (
    | "codetect.analysis.cancelled.v1"
    | "codetect.analysis.completed.v1"
    | "codetect.analysis.failed.v1"
    | "codetect.analysis.queued.v1"
    | "codetect.analysis.started.v1"
    | "codetect.feedback.adjudicated.v1"
    | "codetect.feedback.given.v1"
    | "codetect.feedback.reopened.v1"
    | "codetect.model.drifted.v1"
    | "codetect.study.erased.v1"
    | "codetect.study.received.v1"
    | "codetect.upload.completed.v1"
    | "codetect.upload.imported.v1"
    | "codetect.upload.refused.v1"
  )[];
  description?: string;
  enabled?: boolean;
};
export type WebhookSecret = {
  secret: string;
};
export type DeliveryState = "queued" | "delivered" | "failed";
export type WebhookTry = {
  at: string;
  status: number | null;
  error: string | null;
  took_ms: number;
};
export type WebhookDelivery = {
  id: string;
  message_id: string;
  type: string;
  state: DeliveryState;
  created_at: string;
  delivered_at: string | null;
  next_try_at: string | null;
  /** None: what it told of was erased. */
  body: {
    [key: string]: any;
  } | null;
  tries?: WebhookTry[];
};
export type PageWebhookDelivery = {
  items: WebhookDelivery[];
  next?: string | null;
};
export type State = "open" | "importing" | "done" | "refused" | "expired";
export type Post = {
  url: string;
  fields: {
    [key: string]: string;
  };
};
export type UploadOpenedOut = {
  id: string;
  state: State;
  post: Post;
  key_prefix: string;
  max_file_bytes: number;
  max_files: number;
  max_total_bytes: number;
  expires_at: string;
};
export type UploadRequest = {
  /** Free text of your own, sealed. Refused (`holds-identifier`) where it plainly holds a patient's identifier: a name, a date, a number of six digits or more, a UID, an e-mail address; a UUID is none. */
  reference?: string | null;
  /** Models to read with; none: the facility's. */
  models?: string[] | null;
  priority?: "routine" | "urgent";
};
export type StudyOfUpload = {
  study_id: string;
  version: number;
  series: number;
  instances: number;
};
export type FileState = "pending" | "accepted" | "kept" | "refused";
export type FileOut = {
  number: number;
  state: FileState;
  code: string | null;
  detail: string | null;
  study_id: string | null;
};
export type Reason = {
  code: string;
  detail: string;
};
export type UploadOut = {
  id: string;
  state: State;
  priority: "routine" | "urgent";
  models: string[] | null;
  created_at: string;
  expires_at: string;
  completed_at: string | null;
  finished_at: string | null;
  files_total: number;
  files_done: number;
  studies: StudyOfUpload[];
  files: FileOut[];
  error: Reason | null;
};
export type Claim = {
  file_count: number;
  total_bytes: number;
};
export type ReferenceOut = {
  reference: string | null;
};
export type ReportOut = {
  number: number;
  report: {
    [key: string]: any;
  };
};
export type IdentityOut = {
  study_id: string;
  patient_name: string | null;
  patient_id: string | null;
  patient_birth_date: string | null;
  patient_sex: string | null;
  accession_number: string | null;
  study_instance_uid: string | null;
  study_date: string | null;
  study_description: string | null;
};
export type IdentitiesOut = {
  items: IdentityOut[];
};
export type IdentitiesRequest = {
  ids: string[];
};
export type FoundOut = {
  study_ids: string[];
};
export type FindRequest = {
  /** Needs the right `identity`. */
  accession_number?: string | null;
  /** The original one, for those with the right `identity`; or CoDetect's own, for all. */
  study_instance_uid?: string | null;
};
export type Form2 = "csv" | "parquet";
export type View = "deidentified" | "original";
export type SeriesOut = {
  series_id: string;
  series_instance_uid: string;
  modality: string;
  plane: string;
  slices: number;
  rows: number;
  columns: number;
  convolution_kernel: string | null;
  body_part: string | null;
  slice_thickness_mm: number | null;
  /** What is odd of the series: missing slices, uneven steps (mm), tilt (degrees), phases. */
  irregularities?: {
    [key: string]: number;
  };
};
export type StudyOut = {
  id: string;
  study_instance_uid: string;
  patient_id: string;
  /** YYYYMMDD, moved by a number of days that is the patient's own. */
  study_date: string | null;
  version: number;
  created_at: string;
  updated_at: string;
  instances: number;
  stored_bytes: number;
  /** Nothing erases the study while it is held. */
  legal_hold: boolean;
  /** When the facility's retention erases it; null: never. */
  expires_at: string | null;
  series: SeriesOut[];
};
export type StudyPage = {
  items: StudyOut[];
  next: string | null;
};
export type ErasureOut = {
  study_id: string;
  requested_at: string;
  emptied_at: string | null;
  done_at: string | null;
};
export type Profile = "seal" | "forget";
export type Others = "refuse" | "keep";
export type SettingsOut = {
  profile: Profile;
  others: Others;
  quiet_s: number;
  retention_days: number | null;
  quota_bytes: number | null;
  quota_studies: number | null;
  quota_jobs: number | null;
  /** Sealed identities are being erased; some are left yet. */
  forgetting: boolean;
};
export type SettingsPatch = {
  /** `forget` keeps no identity of what comes from now on. */
  profile?: Profile;
  /** Sound DICOM files that aren't CT slices. */
  others?: Others;
  /** Quiet seconds after which a study sent by STOW-RS is whole. */
  quiet_s?: number;
  /** Studies are erased this long after they came. */
  retention_days?: number | null;
  quota_bytes?: number | null;
  quota_studies?: number | null;
  /** Uploads and studies that may wait at once. */
  quota_jobs?: number | null;
};
export type Used = {
  used: number;
  quota: number | null;
};
export type UsageOut = {
  bytes: Used;
  studies: Used;
  jobs: Used;
};
export type View2 = "original" | "pseudonymous";
export type DestinationOut = {
  id: string;
  name: string;
  url: string;
  view: View2;
  enabled: boolean;
  created_at: string;
};
export type DestinationList = {
  items: DestinationOut[];
};
export type View3 = "original" | "pseudonymous";
export type DestinationIn = {
  name: string;
  url: string;
  username?: string | null;
  view?: View3;
  enabled?: boolean;
};
export type DestinationInWrite = {
  name: string;
  url: string;
  username?: string | null;
  password?: string | null;
  view?: View3;
  enabled?: boolean;
};
export type Switch = {
  enabled: boolean;
};
export type Retried = {
  deliveries: number;
};
export type DeliveryOut = {
  id: string;
  destination_id: string;
  study_id: string;
  analysis_id: string;
  state: DeliveryState;
  attempts: number;
  /** When it is tried next. */
  available_at: string | null;
  /** What the server last answered. */
  last_status: number | null;
  last_error: string | null;
  created_at: string;
  delivered_at: string | null;
};
export type DeliveryPage = {
  items: DeliveryOut[];
  next: string | null;
};
export type Status =
  "queued" | "running" | "completed" | "failed" | "cancelled";
export type Preprocessing = {
  /** Pixels of the square input */
  side: number;
  level_hu: number;
  width_hu: number;
  /** Room kept around the body, as a share of its extent */
  margin: number;
};
export type ModelUsed = {
  name: string;
  version: string | null;
  sha256: string | null;
  title: string | null;
  /** How a slice becomes the model's input. */
  preprocessing?: Preprocessing | null;
};
export type PeakOut = {
  /** Number within the series, from 0. */
  slice: number;
  /** Pixel of the original slice, from 0 at its left. */
  column: number;
  /** From 0 at its top. */
  row: number;
  /** x, y, z in the patient (DICOM's LPS), in the series' frame of reference. */
  position_mm?: [number, number, number] | null;
};
export type FindingOut = {
  label: string;
  probability: number;
  threshold: number;
  positive: boolean;
  /** null: nothing on it does; or a result of before this was told. */
  peak?: PeakOut | null;
};
export type SliceScore = {
  slice: number;
  /** By label, calibrated. */
  probabilities: {
    [key: string]: number;
  };
};
export type OutOfDistribution = {
  score: number;
  flagged: boolean;
};
export type Cost = {
  /** Of the threads that read, prepare, ran (on a CPU) and wrote for it. */
  cpu_ms: number;
  /** Wall time of its share of the runs on a GPU. */
  gpu_ms: number;
  bytes_read: number;
  bytes_written: number;
};
export type Timings = {
  upload_ms: number | null;
  import_ms: number | null;
  queued_ms: number | null;
  inference_ms: number | null;
  total_ms: number | null;
};
export type DocumentOut = {
  /** Structured report, picture, or parametric map. */
  kind: "sr" | "sc" | "pm";
  series_instance_uid: string;
  sop_instance_uid: string;
  sop_class_uid: string;
  bytes: number;
  sha256: string;
};
export type AnalysisOut = {
  id: string;
  study_id: string;
  study_version: number;
  upload_id: string;
  series_id: string | null;
  /** Why this series was chosen among the study's. */
  series_reason: string | null;
  status: Status;
  priority: "routine" | "urgent";
  model: ModelUsed;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  attempts: number;
  /** Slices of the series. */
  slices_total: number;
  /** Slices read, or passed over since they show no lung. */
  slices_done: number;
  /** Slices the model read. */
  slices_analysed: number | null;
  findings: FindingOut[];
  warnings: Reason[];
  /** Numbers of the slices that argue most for the findings. */
  top_slices: number[];
  /** What the model said of these. */
  top_scores: SliceScore[];
  /** Given by models that can tell. */
  out_of_distribution?: OutOfDistribution | null;
  /** ONNX Runtime's execution provider that ran the model. */
  provider: string | null;
  /** Of results from 2026-11-26 on; `slices_analysed` belongs to it. */
  cost?: Cost | null;
  timings: Timings;
  error: Reason | null;
  /** Fetch one as .../documents/{n}, from 0. */
  documents: DocumentOut[];
  /** A newer version of the study has its own analysis, or a newer analysis of the same version has taken this one's place: a result's only when it has a result too. */
  superseded: boolean;
  tags: string[];
  folder: string | null;
  disclaimer?: string;
};
export type AnalysisPage = {
  items: AnalysisOut[];
  next: string | null;
};
export type AnalysisRequest = {
  study_id: string;
  /** A registered model's name; its newest version reads. */
  model: string;
};
export type Counted = {
  value: string;
  count: number;
};
export type Facets = {
  tags: Counted[];
  folders: Counted[];
  /** Labels that were found positive. */
  findings: Counted[];
};
export type BulkItem = {
  id: string;
  analysis?: AnalysisOut | null;
  problem?: Reason | null;
};
export type BulkOut = {
  items: BulkItem[];
};
export type BulkChange = {
  add_tags?: string[];
  remove_tags?: string[];
  /** null takes them out of their folders. */
  folder?: string | null;
  priority?: ("routine" | "urgent") | null;
};
export type BulkRequest = {
  ids: string[];
  do: "organise" | "cancel" | "rerun";
  /** For `organise`. */
  change?: BulkChange;
};
export type AnalysisChange = {
  tags?: string[] | null;
  /** null takes it out of its folder. */
  folder?: string | null;
  /** Urgent ones that wait are read first. */
  priority?: ("routine" | "urgent") | null;
};
export type SliceOut = {
  /** Number within the series, from 0, feet to head. */
  n: number;
  sop_instance_uid: string;
  position_mm: [number, number, number];
  /** Whether the model read it: it shows lung. */
  analysed: boolean;
  /** By label; empty when the slice wasn't analysed. */
  probabilities: {
    [key: string]: number;
  };
  /** By label, where something on the slice argues for it. */
  peaks: {
    [key: string]: PeakOut;
  };
};
export type SliceList = {
  items: SliceOut[];
  rows: number;
  columns: number;
  /** Between rows, between columns; null: not known, so nothing can be measured. */
  pixel_spacing_mm: [number, number] | null;
  /** Directions (LPS) of rising columns and of rising rows. */
  orientation: [number, number, number, number, number, number];
};
export type Says = "present" | "absent" | "unsure";
export type FeedbackState = "undecided" | "agreed" | "waiting" | "adjudicated";
export type WaitingFor = "disagreement" | "sample";
export type FeedbackOut = {
  id: string;
  analysis_id: string;
  study_id: string;
  model: string;
  model_version: string;
  label: string;
  model_says: Says;
  /** The model's. */
  probability: number;
  /** `waiting`: a second reader has to decide before it is exported as a label. */
  state: FeedbackState;
  /** Why a second reader is waited for. */
  reason: WaitingFor | null;
  /** What holds, and is exported; null: nothing is settled, or can't be told. */
  says: Says | null;
  /** People whose opinion or decision counts. */
  readers: number;
  opened_at: string;
  decided_at: string | null;
  /** The analysis has a newer one, which inherits nothing of this. */
  superseded: boolean;
};
export type FeedbackGivenOut = {
  items: FeedbackOut[];
};
export type SaidOfFinding = {
  /** `unsure`: can't be told. */
  says: Says;
  /** Numbers of the slices that show it, from 0. */
  slices?: number[];
  /** Where: patient coordinates in mm, as a slice's `position_mm`. */
  place_mm?: [number, number, number] | null;
  /** In words; sealed. What plainly holds an identifier is refused. */
  comment?: string | null;
  label: string;
};
export type FeedbackRequest = {
  findings: SaidOfFinding[];
};
export type OpinionOut = {
  reader: string;
  says: Says;
  slices: number[];
  place_mm: [number, number, number] | null;
  commented: boolean;
  /** For whoever wrote it, and those with the right `identity` (audited). */
  comment: string | null;
  at: string;
  /** The reader has said something newer. */
  superseded: boolean;
};
export type RulingOut = {
  reader: string;
  says: Says;
  slices: number[];
  place_mm: [number, number, number] | null;
  commented: boolean;
  /** For whoever wrote it, and those with the right `identity` (audited). */
  comment: string | null;
  at: string;
  reopened_at: string | null;
  reopened_by: string | null;
};
export type FeedbackDetail = {
  id: string;
  analysis_id: string;
  study_id: string;
  model: string;
  model_version: string;
  label: string;
  model_says: Says;
  /** The model's. */
  probability: number;
  /** `waiting`: a second reader has to decide before it is exported as a label. */
  state: FeedbackState;
  /** Why a second reader is waited for. */
  reason: WaitingFor | null;
  /** What holds, and is exported; null: nothing is settled, or can't be told. */
  says: Says | null;
  /** People whose opinion or decision counts. */
  readers: number;
  opened_at: string;
  decided_at: string | null;
  /** The analysis has a newer one, which inherits nothing of this. */
  superseded: boolean;
  opinions: OpinionOut[];
  rulings: RulingOut[];
};
export type FeedbackList = {
  items: FeedbackDetail[];
  next?: null;
};
export type FeedbackPage = {
  items: FeedbackOut[];
  next: string | null;
};
export type Said = {
  /** `unsure`: can't be told. */
  says: Says;
  /** Numbers of the slices that show it, from 0. */
  slices?: number[];
  /** Where: patient coordinates in mm, as a slice's `position_mm`. */
  place_mm?: [number, number, number] | null;
  /** In words; sealed. What plainly holds an identifier is refused. */
  comment?: string | null;
};
export type OperatingPoint = {
  sensitivity: number;
  specificity: number;
  threshold: number;
};
export type Label = {
  name: string;
  title: string;
  /** Slice probabilities from here on count as positive */
  threshold: number;
  /** Study scores from here on do; without it, those from `threshold` */
  study_threshold?: number | null;
  /** Slice logits are divided by it before the sigmoid */
  temperature: number;
  operating_points?: OperatingPoint[];
};
export type Pooling = {
  method: "mean_of_highest";
  share: number;
  at_least: number;
};
export type Metrics = {
  data: string;
  n: number;
  auc: number;
  auc_ci95: [number, number];
  accuracy: number;
  f1: number;
  sensitivity: number;
  specificity: number;
  ece: number;
  /** What is guessed without the lungs: from size, edges and compression alone */
  baseline_auc?: number | null;
  note?: string;
};
export type Outliers = {
  threshold: number;
  how: string;
};
export type Reference = {
  data: string;
  n: number;
  measures: object;
};
export type BundleFile = {
  sha256: string;
  bytes: number;
};
export type Bundle = {
  schema_version: 1;
  name: string;
  version: string;
  title: string;
  labels: Label[];
  preprocessing: Preprocessing;
  pooling: Pooling;
  /** Fewer slices with lung than this get a warning */
  few_slices: number;
  intended_use: string;
  limits: string[];
  training_data: string[];
  metrics: Metrics[];
  outliers?: Outliers | null;
  reference?: Reference | null;
  files: {
    [key: string]: BundleFile;
  };
};
export type ModelOut = {
  name: string;
  version: string;
  /** Of bundle.json, which pins every file of the bundle. */
  sha256: string;
  title: string;
  /** In service. A version taken out of it reads no new studies, whatever is set. */
  active: boolean;
  /** It reads new studies of the facility that asks, all or a share of them. */
  serves: boolean;
  /** Fingerprint of the key that signed it; null: before signatures were asked for. */
  signed_by: string | null;
  created_at: string;
  card: Bundle;
};
export type ModelList = {
  items: ModelOut[];
  next?: null;
};
export type Kind = "active" | "shadow" | "canary";
export type RolloutOut = {
  name: string;
  version: string;
  kind: Kind;
  /** The facility that it concerns; null: all that have none of their own. */
  facility_id: string | null;
  /** Percent of the studies that a canary reads. */
  share: number | null;
  since: string;
  /** Of an active version: the one that a roll back brings back. */
  before: string | null;
};
export type RolloutList = {
  items: RolloutOut[];
  next?: null;
};
export type ModelChange = {
  active: boolean;
};
export type Where = {
  /** The facility that it concerns; null: all that have none of their own. */
  facility_id?: string | null;
};
export type CanaryWish = {
  /** The facility that it concerns; null: all that have none of their own. */
  facility_id?: string | null;
  /** Percent of the studies; the same study always gets the same version. */
  share: number;
};
export type ComparisonOut = {
  /** null: all facilities together. */
  facility_id: string | null;
  /** The version whose results were shown. */
  against: string;
  label: string;
  studies: number;
  /** Share of the studies with the same verdict, 0 to 1. */
  agreement: number;
  /** Of the two probabilities. */
  mean_absolute_difference: number;
  positive_shown: number;
  positive_candidate: number;
  positive_both: number;
};
export type ShadowState = {
  facility_id: string;
  status: string;
  analyses: number;
};
export type Comparison = {
  name: string;
  version: string;
  overall: ComparisonOut[];
  items: ComparisonOut[];
  states: ShadowState[];
};
export type Band = "too_few" | "stable" | "moderate" | "major";
export type MeasureOut = {
  measure: string;
  /** PSI below 0.1 `stable`, below 0.25 `moderate`, else `major`. */
  band: Band;
  /** Population stability index; null: too few studies to say. */
  psi: number | null;
  slices: number;
  studies: number;
  /** Between the bins. */
  edges: number[];
  /** Share of each bin in the reference. */
  expected: number[];
  /** Share of each bin in this time; empty: nothing was seen. */
  seen: number[];
};
export type UnlikeOut = {
  studies: number;
  flagged: number;
  share: number | null;
};
export type AgreementOut = {
  label: string;
  /** Settled as the model said. */
  confirmed: number;
  /** Settled otherwise. */
  corrected: number;
  /** For a second reader. */
  waiting: number;
  /** Confirmed among the settled; null: none is. */
  share: number | null;
};
export type DriftingOut = {
  facility_id: string;
  measure: string;
  band: Band;
  psi: number;
  studies: number;
  since: string;
};
export type WatchOut = {
  model: string;
  model_version: string;
  from: string;
  /** Not included. */
  to: string;
  /** Whether drift can be told, in words. */
  drift: string;
  /** What the reference was made from. */
  reference: string | null;
  studies_needed: number;
  measures: MeasureOut[];
  /** Null of models that can't tell. */
  out_of_distribution: UnlikeOut | null;
  agreement: AgreementOut[];
  drifting: DriftingOut[];
};
export type ViewOut = {
  id: string;
  name: string;
  filters: string;
  created_at: string;
};
export type ViewList = {
  items: ViewOut[];
};
export type ViewRequest = {
  name: string;
  /** The page's own query, as `status=failed&since=yesterday`; days may be relative. */
  filters: string;
};
export type ViewChange = {
  name?: string | null;
  filters?: string | null;
};
export type NoteOut = {
  id: string;
  writer: string;
  at: string;
  /** Null: it is somebody else's, and you don't have the right `identity`. */
  text: string | null;
};
export type NoteList = {
  items: NoteOut[];
  next?: null;
};
export type NoteRequest = {
  /** Sealed. What plainly holds an identifier is refused. */
  text: string;
};
export type AnalysisCounts = {
  queued?: number;
  running?: number;
  completed?: number;
  failed?: number;
  cancelled?: number;
};
export type ModelCounts = {
  model: string;
  model_version: string;
  completed?: number;
  failed?: number;
  cancelled?: number;
};
export type FindingCounts = {
  finding: string;
  model: string;
  model_version: string;
  positive?: number;
  negative?: number;
  mean_probability: number;
};
export type UploadCounts = {
  open?: number;
  importing?: number;
  done?: number;
  refused?: number;
  expired?: number;
  refused_by_code: {
    [key: string]: number;
  };
  /** Of the uploads that were completed by their client. */
  bytes?: number;
};
export type FileCounts = {
  accepted?: number;
  refused?: number;
  refused_by_code: {
    [key: string]: number;
  };
};
export type StudyCounts = {
  new?: number;
  updated?: number;
  erased?: number;
};
export type Quantiles = {
  n: number;
  /** Within 1% of the exact value. */
  p50: number;
  /** Within 1% of the exact value. */
  p90: number;
  /** Within 1% of the exact value. */
  p99: number;
};
export type Summary = {
  /** The live cursor of the newest event that these figures count for certain: who was told of a later one asks again. Offsets, before the dot, grow; null: nothing was counted yet. */
  counted: string | null;
  /** Rounded down to a quarter of an hour. */
  from: string;
  /** Rounded up to a quarter of an hour, not included. */
  to: string;
  /** Analyses by the state they are in now, whenever they were asked for. */
  now: AnalysisCounts;
  /** How often an analysis reached each state in this time. */
  analyses: AnalysisCounts;
  models: ModelCounts[];
  findings: FindingCounts[];
  uploads: UploadCounts;
  files: FileCounts;
  studies: StudyCounts;
  /** Of completed analyses: `queued`, `inference`, and `total` from the completed upload on. */
  turnaround_ms: {
    [key: string]: Quantiles;
  };
};
export type Metric =
  | "analyses"
  | "findings"
  | "probability"
  | "turnaround_ms"
  | "slices"
  | "cpu_ms"
  | "gpu_ms"
  | "bytes_read"
  | "bytes_written"
  | "uploads"
  | "uploaded_bytes"
  | "files"
  | "studies"
  | "out_of_distribution"
  | "feedback";
export type Dimension =
  | "state"
  | "model"
  | "model_version"
  | "finding"
  | "outcome"
  | "bin"
  | "stage"
  | "code"
  | "change";
export type Series = {
  /** The value of each dimension; for `turnaround_ms` also `quantile`. */
  key: {
    [key: string]: string | number;
  };
  /** One for each of `times`; null where a mean or quantile has no data. */
  values: (number | null)[];
};
export type Timeseries = {
  /** The live cursor of the newest event that these figures count for certain: who was told of a later one asks again. Offsets, before the dot, grow; null: nothing was counted yet. */
  counted: string | null;
  metric: Metric;
  interval: "hour" | "day" | "week" | "month";
  tz: string;
  by: Dimension[];
  /** Rounded down to a quarter of an hour. */
  from: string;
  /** Rounded up to a quarter of an hour, not included. */
  to: string;
  /** Beginnings of the hours, days, weeks or months, in UTC. */
  times: string[];
  series: Series[];
};
export const {
  useCreateLiveTicketMutation,
  useGetPlatformHealthQuery,
  useLazyGetPlatformHealthQuery,
  useListDeadLettersQuery,
  useLazyListDeadLettersQuery,
  useRedeliverDeadLetterMutation,
  useListRecentErrorsQuery,
  useLazyListRecentErrorsQuery,
  useGetFacilityQuery,
  useLazyGetFacilityQuery,
  useLogInMutation,
  useGiveSecondFactorMutation,
  useEnrolTotpMutation,
  useConfirmTotpMutation,
  useAskToEnrolPasskeyMutation,
  useEnrolPasskeyMutation,
  useAskForPasskeyMutation,
  useLogInWithPasskeyMutation,
  useRefreshMutation,
  useLogOutMutation,
  useGetMeQuery,
  useLazyGetMeQuery,
  useListSessionsQuery,
  useLazyListSessionsQuery,
  useEndSessionsMutation,
  useEndSessionMutation,
  useListFactorsQuery,
  useLazyListFactorsQuery,
  useRenameFactorMutation,
  useRemoveFactorMutation,
  useStartTotpMutation,
  useAddTotpMutation,
  useAskForNewPasskeyMutation,
  useAddPasskeyMutation,
  useRenewRecoveryCodesMutation,
  useAskToStepUpMutation,
  useProveMutation,
  useAskForAccessMutation,
  useListAccessRequestsQuery,
  useLazyListAccessRequestsQuery,
  useConfirmAccessRequestMutation,
  useApproveAccessRequestMutation,
  useRejectAccessRequestMutation,
  useInviteMutation,
  useListInvitationsQuery,
  useLazyListInvitationsQuery,
  useAcceptInvitationMutation,
  useResendInvitationMutation,
  useRevokeInvitationMutation,
  useGetTermsQuery,
  useLazyGetTermsQuery,
  usePublishTermsMutation,
  useGetOldTermsQuery,
  useLazyGetOldTermsQuery,
  useAgreeToTermsMutation,
  useChangePasswordMutation,
  useAskForPasswordResetMutation,
  useResetPasswordMutation,
  useListFacilitiesQuery,
  useLazyListFacilitiesQuery,
  useOpenFacilityMutation,
  useGetOneFacilityQuery,
  useLazyGetOneFacilityQuery,
  useChangeFacilityMutation,
  useInviteFirstAdminMutation,
  useGetChecklistOfQuery,
  useLazyGetChecklistOfQuery,
  useGetChecklistQuery,
  useLazyGetChecklistQuery,
  useListAccessStepsQuery,
  useLazyListAccessStepsQuery,
  useListMembersQuery,
  useLazyListMembersQuery,
  useChangeMemberMutation,
  useRemoveMemberMutation,
  useEndMemberSessionsMutation,
  useResetFactorsMutation,
  useListApiClientsQuery,
  useLazyListApiClientsQuery,
  useCreateApiClientMutation,
  useRotateApiClientMutation,
  useChangeApiClientMutation,
  useRevokeApiClientMutation,
  useGetMailPreferencesQuery,
  useLazyGetMailPreferencesQuery,
  usePutMailPreferencesMutation,
  useUnsubscribeMutation,
  useListMailsQuery,
  useLazyListMailsQuery,
  useListUndeliverableAddressesQuery,
  useLazyListUndeliverableAddressesQuery,
  useClearUndeliverableAddressMutation,
  useListAuditEventsQuery,
  useLazyListAuditEventsQuery,
  useGetAuditChainQuery,
  useLazyGetAuditChainQuery,
  useListWebhooksQuery,
  useLazyListWebhooksQuery,
  useAddWebhookMutation,
  useGetWebhookQuery,
  useLazyGetWebhookQuery,
  useChangeWebhookMutation,
  useRemoveWebhookMutation,
  useRenewWebhookSecretMutation,
  useTestWebhookMutation,
  useListWebhookDeliveriesQuery,
  useLazyListWebhookDeliveriesQuery,
  useRedeliverWebhookMutation,
  useOpenUploadMutation,
  useRenewUploadMutation,
  useCompleteUploadMutation,
  useGetUploadQuery,
  useLazyGetUploadQuery,
  useGetReferenceQuery,
  useLazyGetReferenceQuery,
  useGetReportQuery,
  useLazyGetReportQuery,
  useListIdentitiesMutation,
  useFindStudiesMutation,
  useGetIdentityQuery,
  useLazyGetIdentityQuery,
  useExportStudiesQuery,
  useLazyExportStudiesQuery,
  useExportStudyQuery,
  useLazyExportStudyQuery,
  useListStudiesQuery,
  useLazyListStudiesQuery,
  useGetStudyQuery,
  useLazyGetStudyQuery,
  useEraseStudyMutation,
  useHoldStudyMutation,
  useReleaseStudyMutation,
  useGetIngestSettingsQuery,
  useLazyGetIngestSettingsQuery,
  useChangeIngestSettingsMutation,
  useForgetIdentitiesMutation,
  useGetUsageQuery,
  useLazyGetUsageQuery,
  useListDestinationsQuery,
  useLazyListDestinationsQuery,
  useAddDestinationMutation,
  useSwitchDestinationMutation,
  useRemoveDestinationMutation,
  useRetryDeliveriesMutation,
  useListDeliveriesQuery,
  useLazyListDeliveriesQuery,
  useRetryDeliveryMutation,
  useListAnalysesQuery,
  useLazyListAnalysesQuery,
  useCreateAnalysisMutation,
  useListFacetsQuery,
  useLazyListFacetsQuery,
  useChangeAnalysesMutation,
  useGetAnalysisQuery,
  useLazyGetAnalysisQuery,
  useChangeAnalysisMutation,
  useDeleteAnalysisMutation,
  useRerunAnalysisMutation,
  useCancelAnalysisMutation,
  useListSlicesQuery,
  useLazyListSlicesQuery,
  useDrawImageQuery,
  useLazyDrawImageQuery,
  useGetPixelsQuery,
  useLazyGetPixelsQuery,
  useDrawHeatmapQuery,
  useLazyDrawHeatmapQuery,
  useInferenceGetReportQuery,
  useLazyInferenceGetReportQuery,
  useGetDocumentQuery,
  useLazyGetDocumentQuery,
  useGetPdfQuery,
  useLazyGetPdfQuery,
  useGetFhirQuery,
  useLazyGetFhirQuery,
  useGiveFeedbackMutation,
  useGetFeedbackQuery,
  useLazyGetFeedbackQuery,
  useListFeedbackQuery,
  useLazyListFeedbackQuery,
  useExportLabelsQuery,
  useLazyExportLabelsQuery,
  useAdjudicateFeedbackMutation,
  useReopenFeedbackMutation,
  useListModelsQuery,
  useLazyListModelsQuery,
  useRegisterModelMutation,
  useListRolloutsQuery,
  useLazyListRolloutsQuery,
  useGetModelQuery,
  useLazyGetModelQuery,
  useChangeModelMutation,
  useActivateModelMutation,
  useStartShadowMutation,
  useEndShadowMutation,
  useStartCanaryMutation,
  useEndCanaryMutation,
  useRollBackMutation,
  useCompareQuery,
  useLazyCompareQuery,
  useWatchModelQuery,
  useLazyWatchModelQuery,
  useListViewsQuery,
  useLazyListViewsQuery,
  useCreateViewMutation,
  useChangeViewMutation,
  useDeleteViewMutation,
  useListNotesQuery,
  useLazyListNotesQuery,
  useWriteNoteMutation,
  useTakeNoteBackMutation,
  useAnalyticsSummaryQuery,
  useLazyAnalyticsSummaryQuery,
  useAnalyticsTimeseriesQuery,
  useLazyAnalyticsTimeseriesQuery,
} = injectedRtkApi;
