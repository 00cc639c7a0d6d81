/** What the generated client can't know: which answers grow old when, and what a page sends instead of tokens. */
import { generated } from "./generated";

export const api = generated.enhanceEndpoints({
  addTagTypes: ["me"],
  endpoints: {
    getMe: { providesTags: ["me"] },
    // Logging in and out starts the store anew (features/wayin); these tell nothing that others have read.
    logIn: { invalidatesTags: [] },
    giveSecondFactor: { invalidatesTags: [] },
    askForPasskey: { invalidatesTags: [] },
    logInWithPasskey: { invalidatesTags: [] },
    enrolTotp: { invalidatesTags: [] },
    confirmTotp: { invalidatesTags: [] },
    askToEnrolPasskey: { invalidatesTags: [] },
    enrolPasskey: { invalidatesTags: [] },
    logOut: { invalidatesTags: [] },
    createLiveTicket: { invalidatesTags: [] },
  },
});

export const {
  useGetFacilityQuery,
  useGetMeQuery,
  useLazyGetMeQuery,
  useGetTermsQuery,
  useAgreeToTermsMutation,
  useLogInMutation,
  useGiveSecondFactorMutation,
  useAskForPasskeyMutation,
  useLogInWithPasskeyMutation,
  useEnrolTotpMutation,
  useConfirmTotpMutation,
  useAskToEnrolPasskeyMutation,
  useEnrolPasskeyMutation,
  useLogOutMutation,
  useAskForAccessMutation,
  useConfirmAccessRequestMutation,
  useAcceptInvitationMutation,
  useAskForPasswordResetMutation,
  useResetPasswordMutation,
  useGetUploadQuery,
  useListAnalysesQuery,
  useListModelsQuery,
} = api;
